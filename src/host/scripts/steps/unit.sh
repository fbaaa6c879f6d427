# Enables a unit, restarts or reloads it with its present files, and stores the digest of these files.
# Arguments: $1 is the unit. $2 is the digest. $3 is `restart` or `reload`. $4 is the port on which the unit must listen, or empty. $5 is the time in
# seconds for which etcd is watched. $6 is the text of etcd_service.sh. $7 is the limit in seconds within which etcd must answer; the limits for other
# units are fractions of it.
unit=$1 digest=$2 how=$3 port=$4
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
if [ "$unit" = etcd ] && [ -d /var/lib/clusterctl/spare ]; then
  printf '%s' "$6" >/var/lib/clusterctl/spare/service.sh
  # The change runs in a transient systemd unit, so that it finishes even if the run has ended.
  exec systemd-run --quiet --wait --pipe --collect --unit clusterctl-unit-etcd \
    /bin/sh /var/lib/clusterctl/spare/service.sh "$digest" "$7" "$5" >&2
fi
[ "$unit" != etcd ] || hand_over
[ "$how" != reload ] || how=reload-or-restart
# The limit covers a stop and a start, each of which systemd gives up after 90 s.
out=$(within 190 systemctl "$how" "$unit" 2>&1) || fail "$out"
# `is-active` also succeeds while the unit is reloading, and the failure of a reload is visible only after its end, so the state itself is compared.
active() { state=$(systemctl show -p ActiveState --value "$unit") && [ "$state" = active ]; }
comes $(($7 / 2)) active || fail "$unit is not active after $(($7 / 2)) s: it is $state"
if [ "$unit" = containerd ]; then
  # The unit of containerd may be active before containerd answers requests.
  answers() { within 5 ctr version >/dev/null 2>&1; }
  comes $(($7 / 4)) answers || fail "containerd does not answer on its socket"
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
if ! comes $(($7 / 20)) listens; then
  # A program may reject in a reload a configuration that it accepts at a start, so the unit is restarted.
  out=$(within 190 systemctl restart "$unit" 2>&1) || fail "$out"
  comes $(($7 / 8)) listens || fail "$unit does not listen on port $port"
fi
mkdir -p /var/lib/clusterctl/units
printf '%s\n' "$digest" >"/var/lib/clusterctl/units/.$unit"
mv -f "/var/lib/clusterctl/units/.$unit" "/var/lib/clusterctl/units/$unit"
