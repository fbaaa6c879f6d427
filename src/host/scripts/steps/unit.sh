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
# stays: watches the kubelet after its restart with new files, until it answers twice in a row. Fails if it has ended twice meanwhile, or if it ended
# and does not run at the end of the time. A kubelet that is only slow is not judged here.
stays() {
  watch_until=$(($(date +%s) + limit / 2)) good=0 first=$(restarts)
  while [ $good -lt 2 ]; do
    if [ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$KUBELET_HEALTHZ_PORT/healthz")" = 200 ]; then good=$((good + 1)); else good=0; fi
    ended=$(($(restarts) - first))
    [ $ended -lt 2 ] || return 1
    if [ "$(date +%s)" -ge $watch_until ]; then
      [ $ended = 0 ] && [ "$(systemctl show -p ActiveState --value kubelet)" = active ]
      return
    fi
    sleep 0.5
  done
}
# restarts: prints how often systemd has restarted the kubelet by itself.
restarts() { count=$(systemctl show -p NRestarts --value kubelet); echo "${count:-0}"; }
# put_back: puts the files back with which the kubelet ran before, starts it with them, and fails. files.sh has made the copies.
put_back() {
  spare=$KUBELET_SPARE_DIR
  said=$(journalctl -u kubelet -n 15 --no-pager -o cat 2>/dev/null) || :
  still_ours
  while read -r number path; do
    if [ "$number" = - ]; then rm -f "$path"; continue; fi
    part=${path%/*}/.${path##*/}.clusterctl-back
    cp -p "$spare/$number" "$part" && cmp -s "$spare/$number" "$part" && sync "$part" && mv -f "$part" "$path" && sync "${path%/*}" || {
      rm -f "$part"
      printf '%s\n' "$said" "the kubelet does not run with its new files, and $path cannot be put back (no space?); the previous files are in $spare" >&2
      exit 1
    }
  done <$spare/list
  systemctl daemon-reload
  within 190 systemctl restart kubelet || :
  if stays; then now='and runs with them'; else now='and does not run with them either'; fi
  cp $spare/stamp "$UNITS_DIR/.kubelet" && mv -f "$UNITS_DIR/.kubelet" "$UNITS_DIR/kubelet" && rm -rf --one-file-system $spare
  printf '%s\n' "the kubelet ended again and again with its new files; the last lines of its log:" "$said" "it has its previous files again, $now" >&2
  exit 1
}
[ "$unit" != kubelet ] || [ ! -s $KUBELET_SPARE_DIR/list ] || stays || put_back
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
[ "$unit" != kubelet ] || rm -rf --one-file-system $KUBELET_SPARE_DIR
printf '%s\n' "$digest" >"$UNITS_DIR/.$unit"
mv -f "$UNITS_DIR/.$unit" "$UNITS_DIR/$unit"
