# Stops a unit and keeps it from starting at boot. $1: unit.
systemctl disable -q --now "$1" 2>/dev/null || systemctl stop "$1"
rm -f "/var/lib/clusterctl/units/$1"
