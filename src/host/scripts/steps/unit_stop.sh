# Stops a unit and keeps it from starting at boot. Argument: $1 is the unit.
# A unit whose file was deleted cannot be disabled, so it is only stopped.
within 100 systemctl disable -q --now "$1" 2>/dev/null || within 100 systemctl stop "$1"
case $(systemctl is-enabled "$1" 2>/dev/null) in
  enabled) echo "$1 is stopped and cannot be disabled: it would start at the next boot" >&2; exit 1 ;;
esac
# systemd reports a unit that it had to kill as failed, although the unit is stopped, so that state is reset.
systemctl reset-failed "$1" 2>/dev/null || :
rm -f "/var/lib/clusterctl/units/$1"
