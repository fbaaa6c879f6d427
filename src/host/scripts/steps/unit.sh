# Enables a unit, restarts or reloads it with its present files, and stores the digest of these files.
# Arguments: `unit`; `digest`; `action`, which is `restart` or `reload`; `port` on which the unit must listen, or empty; `watch`, the time in seconds
# for which etcd is watched; `service`, the text of etcd_service.sh; and `limit` in seconds within which etcd must answer. The limits for other units
# are fractions of it.
exec 8>"/run/clusterctl-unit-$unit.lock"
take_turn 8 60 "$unit.service"
still_ours
# fail WORD...: prints the reason and the last lines of the unit's log, and fails.
fail() {
  printf '%s\n' "$*" >&2
  journalctl -u "$unit" -n 15 --no-pager -o cat >&2 2>/dev/null || :
  exit 1
}
# Each of the commands unmask, daemon-reload and enable makes systemd read all units again, which takes part of a second, so each is run only if it is
# needed. An interrupted installation of packages may have left a mask.
[ ! -L "/run/systemd/system/$unit.service" ] || systemctl unmask -q --runtime "$unit"
[ "$(systemctl show -p NeedDaemonReload --value "$unit")" = no ] || systemctl daemon-reload
[ "$(systemctl is-enabled "$unit" 2>/dev/null)" = enabled ] || systemctl enable -q "$unit"
[ "$unit" != etcd ] || { wait_quorum 60 || exit 1; still_ours; }
if [ "$unit" = etcd ] && [ -d $SPARE_DIR ]; then
  printf '%s' "$service" >$SPARE_DIR/service.sh
  # The change runs in a transient systemd unit, so that it finishes even if the run has ended.
  exec systemd-run --quiet --wait --pipe --collect --unit clusterctl-unit-etcd \
    /bin/sh $SPARE_DIR/service.sh "digest=$digest" "limit=$limit" "watch=$watch" >&2
fi
[ "$unit" != etcd ] || hand_over
[ "$action" != reload ] || action=reload-or-restart
# The limit covers a stop and a start, each of which systemd gives up after 90 s.
out=$(within 190 systemctl "$action" "$unit" 2>&1) || fail "$out"
# `is-active` also succeeds while the unit is reloading, and the failure of a reload is visible only after its end, so the state itself is compared.
active() { state=$(systemctl show -p ActiveState --value "$unit") && [ "$state" = active ]; }
comes $((limit / 2)) active || fail "$unit is not active after $((limit / 2)) s: it is $state"
if [ "$unit" = containerd ]; then
  # The unit of containerd may be active before containerd answers requests. `ctr version` is not used, because it fails for ever if a power failure
  # has left the file with the server's UUID empty, while containerd works.
  answers() { within 5 ctr namespaces ls -q >/dev/null 2>&1; }
  comes $((limit / 4)) answers || fail "containerd does not answer on its socket"
fi
# The listener on $port must be a process of this unit: another program may hold the port, and a unit that could not bind its port in a reload stays
# active.
listens() {
  [ -n "$port" ] || return 0
  for pid in $(ss -Hltnp "sport = :$port" | grep -o 'pid=[0-9]*' | cut -d= -f2); do
    ! grep -q "/$unit\.service" "/proc/$pid/cgroup" 2>/dev/null || return 0
  done
  return 1
}
if ! comes $((limit / 20)) listens; then
  # A program may reject in a reload a configuration that it accepts at a start, so the unit is restarted.
  out=$(within 190 systemctl restart "$unit" 2>&1) || fail "$out"
  comes $((limit / 8)) listens || fail "$unit does not listen on port $port"
fi
mkdir -p $UNITS_DIR
printf '%s\n' "$digest" >"$UNITS_DIR/.$unit"
mv -f "$UNITS_DIR/.$unit" "$UNITS_DIR/$unit"
