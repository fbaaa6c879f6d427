# Stops components of the control plane durably: neither the kubelet nor systemd starts them again, also after a power failure, until `put_back`. The
# manifests of static pods are moved to a folder outside of the kubelet's manifest folder; see manifest.sh for $dir, `restore`, `stage` and `place`.
# Argument: `service` is `etcd` if etcd is a systemd service on this host, and otherwise empty.
# wait_idle SECONDS: waits until the host has finished the replacements of static pods that an interrupted run began. Such a replacement would place a
# manifest.
wait_idle() {
  idle() { ! busy 'clusterctl-static-pod-*' 'clusterctl-watch-*' clusterctl-unit-etcd.service; }
  comes "$1" idle || fail "what an earlier run began with static pods of this host is still under way after $1 s; nothing was changed"
}
# move_aside COMPONENT...: moves the manifests. Each is copied and on the disk before it is removed from the kubelet's folder.
move_aside() {
  mkdir -p -m 0700 $RESTORE_MANIFESTS_DIR
  for c; do
    # An interrupted replacement of the static pod has its own way to put the manifest back at the next boot, so it is ended first.
    [ ! -e "$(boot_of "$c")" ] || restore "$c"
    [ -s "$dir/$c.yaml" ] || continue
    cp "$dir/$c.yaml" "$RESTORE_MANIFESTS_DIR/.$c.new"
    cmp -s "$dir/$c.yaml" "$RESTORE_MANIFESTS_DIR/.$c.new" || { echo "the manifest of $c cannot be copied to $RESTORE_MANIFESTS_DIR" >&2; exit 1; }
    sync "$RESTORE_MANIFESTS_DIR/.$c.new"
    mv -f "$RESTORE_MANIFESTS_DIR/.$c.new" "$RESTORE_MANIFESTS_DIR/$c.yaml"
  done
  sync $RESTORE_MANIFESTS_DIR $RESTORE_DIR
  still_ours
  for c; do rm -f "$dir/$c.yaml"; done
  [ ! -d $dir ] || sync $dir
}
# stop_service: stops the service and keeps it from starting at boot.
stop_service() {
  [ -n "$service" ] || return 0
  within 100 systemctl disable -q "$service" 2>/dev/null || :
  within 100 systemctl stop "$service"
}
service_pid() { [ -z "$service" ] || systemctl show -p MainPID --value "$service" | grep -vx 0 || :; }
# wait_gone SECONDS COMPONENT...: waits until no process of the components, nor of the service, has been seen for 2 s. The kubelet ends the processes;
# those that are left after 2 s are ended here, because it may not have noticed yet that the manifest is gone and would start them again.
wait_gone() {
  begun=$(date +%s%3N) limit_ms=$(($1 * 1000)) seen=$begun
  shift
  while :; do
    now=$(date +%s%3N) left=$(service_pid)
    for c; do
      for pid in $(own_processes "$c"); do
        left="$left $pid"
        if [ $((now - begun)) -gt 2000 ]; then
          # etcd gets time to close its files. The other components have no state.
          signal=KILL
          [ "$c" != etcd ] || [ $((now - begun)) -gt 20000 ] || signal=TERM
          kill -s $signal "$pid" 2>/dev/null || :
        fi
      done
    done
    if [ -n "$left" ]; then seen=$now; elif [ $((now - seen)) -ge 2000 ]; then return 0; fi
    [ $((now - begun)) -lt $limit_ms ] || { echo "these still run after $((limit_ms / 1000)) s: $* (processes$left)" >&2; exit 1; }
    sleep 0.3
  done
}
# put_back COMPONENT...: moves the manifests back, and starts the service without waiting for it. A manifest that is in the kubelet's folder stays.
# The kubelet is restarted, because it reads all manifests at its start, and a kubelet that runs while no API server answers may look at them only after
# many requests about its other pods have failed, one after another.
put_back() {
  for c; do
    [ -e "$dir/$c.yaml" ] || [ ! -s "$RESTORE_MANIFESTS_DIR/$c.yaml" ] || stage "$RESTORE_MANIFESTS_DIR/$c.yaml" "$c" ||
      { echo "the manifest of $c cannot be written to $dir (no space?)" >&2; exit 1; }
  done
  for c; do [ ! -e "$dir/.$c.swap" ] || place "$c"; done
  for c; do rm -f "$RESTORE_MANIFESTS_DIR/$c.yaml"; done
  if [ -n "$service" ]; then
    within 100 systemctl enable -q "$service"
    within 100 systemctl start --no-block "$service"
  else
    within 100 systemctl restart kubelet
  fi
}
# await SECONDS COMPONENT COMMAND...: repeats the command until it succeeds. A kubelet that has refused a static pod looks at it again only after a
# restart, so the kubelet is restarted once if the component has no process after a quarter of the time.
await() {
  begun=$(date +%s) seconds=$1 component=$2 again=
  shift 2
  until "$@"; do
    now=$(date +%s)
    [ $((now - begun)) -lt "$seconds" ] || return 1
    if [ -z "$again$service" ] && [ $((now - begun)) -ge $((seconds / 4)) ] && [ -z "$(own_process "$component")" ]; then
      again=yes
      within 100 systemctl restart kubelet || :
    fi
    sleep 0.3
  done
}
