# How swap.sh replaces the manifest of a static pod.
kubelet_minor() { "/proc/$(systemctl show -p MainPID --value kubelet)/exe" --version 2>/dev/null | sed -n 's/^Kubernetes v1\.\([0-9]*\)\..*/\1/p'; }
image_of() { sed -n 's/^ *image: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$1" | head -n 1; }
pod_cgroups() { for uid in $uids; do find /sys/fs/cgroup -maxdepth 6 -type d -name "*pod$uid*" 2>/dev/null; done; }
pod_logs() { for uid in $uids; do ls $POD_LOGS_DIR/kube-system_"$component"-*_"$uid"/"$component"/*.log 2>/dev/null; done; }
# exchange FILE PID: replaces the present manifest of the component by FILE. PID is the process of the component, or empty. If that is an API server,
# the function waits until it has answered its last requests. A kubelet of 1.22 or later that finds the previous static pod of this name still ending
# looks again only 10 to 15 s later. On such a host, the new manifest is placed after the previous pod has ended. Status 3: nothing was changed,
# because the files cannot be written. Status 2: etcd did not come up.
exchange() {
  stage "$1" "$component" || return 3
  away=
  if [ -e $dir/$component.yaml ] && old_is_whole "$component" && [ "$(kubelet_minor || :)" -ge 22 ] 2>/dev/null; then
    uids=$(for folder in $(own_logs "$component"); do folder=${folder%/*}; echo "${folder##*_}"; done)
    set_aside "$component" || return 3
    away=yes
  else
    place "$component" || return 3
  fi
  if [ "$component" = kube-apiserver ] && [ -n "$2" ]; then end_drained "$2" || return 1; fi
  [ -n "$away" ] || return 0
  tries=0
  while [ -n "$(pod_cgroups)" ] && [ $tries -lt $((400 * patience)) ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
  # Usually the kubelet removes the container with its log last, within a second, so the script waits that long; sometimes it does that later.
  tries=0
  while [ -n "$(pod_logs)" ] && [ $tries -lt 10 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
  # The new etcd on this host is started before the new API server: an API server without etcd would accept the kubelet's requests and not answer
  # them, and the kubelet would start etcd late.
  etcd_along || return $?
  place "$component" || return 1
  back_in_place "$component"
}
# If etcd is swapped with its API server, swaps etcd while that API server gets no requests, so that clients lose this host once and not twice.
etcd_along() {
  [ -n "$etcd_url" ] || return 0
  at=$etcd_url
  etcd_url=
  /bin/sh $state/swap-etcd.sh action=swap component=etcd "url=$at" "limit=$limit" "watch=$etcd_watch" "balancers=$balancers" "run=$run" \
    etcd_url= etcd_watch= api_is_out=yes || return 2
}
