# Stops a unit and keeps it from starting at boot. $1: unit.
systemctl disable -q --now "$1" 2>/dev/null || systemctl stop "$1"
# One that had to be killed in the end is stopped as well, but would be called failed.
systemctl reset-failed "$1" 2>/dev/null || :
rm -f "/var/lib/clusterctl/units/$1"
