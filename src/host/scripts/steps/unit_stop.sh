# Stops a unit and keeps it from starting at boot. Argument: `unit`.
# A unit whose file was deleted cannot be disabled, so it is only stopped.
within 100 systemctl disable -q --now "$unit" 2>/dev/null || within 100 systemctl stop "$unit"
case $(systemctl is-enabled "$unit" 2>/dev/null) in
  enabled) echo "$unit is stopped and cannot be disabled: it would start at the next boot" >&2; exit 1 ;;
esac
# systemd reports a unit that it had to kill as failed, although the unit is stopped, so that state is reset.
systemctl reset-failed "$unit" 2>/dev/null || :
rm -f "$UNITS_DIR/$unit"
