# How swap.sh puts the previous manifest of a static pod back.
# has_no_way_back: succeeds, and prints why, if the previous etcd would refuse to start with the present data. The previous etcd is that of the copy
# that will be put back. That copy can be older than the manifest that this transaction has replaced, because an earlier transaction may have been
# interrupted or have failed.
has_no_way_back() {
  [ "$component" = etcd ] && [ -s $state/etcd.old ] && [ -e $dir/etcd.yaml ] || return 1
  was=$(minor_of "$(image_of $state/etcd.old | sed 's/.*://')")
  now=$(minor_of "$(image_of $dir/etcd.yaml | sed 's/.*://')")
  { [ -n "$was" ] && [ -n "$now" ] && is_older "$was" "$now"; } || return 1
  cluster=$(cluster_minor https://127.0.0.1:$ETCD_CLIENT_PORT $(cat $state/etcd.before 2>/dev/null))
  # If no member reports the cluster version and the new etcd has answered once, the cluster version is assumed to be raised, because a cluster of one
  # member raises it within seconds.
  [ -n "$cluster" ] || [ -z "$served" ] || cluster=$now
  [ -n "$cluster" ] && is_older "$was" "$cluster" || return 1
  echo "etcd went from $was to $now and the cluster version is $cluster: etcd $was would refuse to start (invalid downgrade), so the new manifest of etcd stays in place"
  echo "the way back is the snapshot of etcd that was saved on the operator's machine before the upgrade: restore it with etcdutl snapshot restore"
}
# revert [TOLD]: puts the previous manifest back, waits until the component answers, and prints the result. Also prints why the new container ended,
# unless TOLD is set.
revert() {
  if [ -z "${1:-}" ]; then evidence; fi >$state/$component.why
  known='' etcd_url=
  if has_no_way_back; then
    cat $state/$component.why
    accept_again
    forget_old "$component"
    rm -f $state/$component.new $state/$component.why $state/etcd.before
    return 0
  fi
  old_is_whole "$component" || { cat $state/$component.why; echo "no whole copy of the previous manifest of $component is on this host; the new one stays"; return 0; }
  case $component in kube-apiserver) refuse_balancers ;; etcd) relieve ;; esac
  gone=$(own_process "$component")
  exchange $state/$component.old "$gone" || restore "$component" || :
  if ! cmp -s $state/$component.old $dir/$component.yaml; then
    unfence
    cat $state/$component.why
    echo "the previous manifest of $component could not be put back (no space on the disk?); a copy is $state/$component.old"
    return 0
  fi
  if wait_new "${gone:-none}" "$limit"; then said='is back and serves'; else said='is back and does not serve yet'; fi
  [ "$component" != etcd ] || rejoined
  unfence
  cat $state/$component.why
  echo "the previous manifest of $component $said"
  forget_old "$component"
  rm -f $state/$component.new $state/$component.why $state/etcd.before
  # The scheduler and the controller manager use this API server alone and must not be newer than it, so their previous manifests are put back, too.
  [ "$component" = kube-apiserver ] || return 0
  for other in kube-scheduler kube-controller-manager; do
    # If a swap of $other is under way, the script waits until it ends, for at most four minutes.
    tries=0
    while systemctl is-active -q "clusterctl-static-pod-$other" && [ $tries -lt 800 ]; do
      tries=$((tries + 1))
      sleep 0.3
    done
    systemctl stop -q "clusterctl-watch-$other" 2>/dev/null || :
    old_is_whole $other || continue
    if stage $state/$other.old $other && place $other; then
      forget_old $other
      echo "the previous manifest of $other is back with it"
    else
      echo "the previous manifest of $other could not be put back; a copy is $state/$other.old"
    fi
  done
}
# Removes the rules that reject clients. If etcd is swapped with its API server, etcd's part of the transaction leaves that to the API server's part.
unfence() { [ -n "$api_is_out" ] || accept_again; }
