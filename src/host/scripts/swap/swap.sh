# Swaps a static pod, watches the new pod, and puts the previous manifest back. static_pod.sh starts this script in a transient systemd unit. These
# files precede it: hand_over.sh, lock_held.sh, process.sh, quorum.sh, manifest.sh, refuse.sh, etcd_version.sh of the folder lib, and the other files of
# this folder.
# Arguments: `action` and `component`. `swap` replaces the static pod. `remove` removes it. `restart` is a swap that ends the process even if the
# manifest stays the same. `watch` watches a new static pod. The kubelet's unit runs `restore` before the kubelet starts. systemd runs `unfence` after a
# watch, and `ended` after a transaction, however it ended.
# For swap, restart, remove and watch, there are also `url`, which answers 200 if the component works; `limit` in seconds; `watch`, the age in seconds
# up to which the new process is watched; `balancers`, see static_pod.sh; and `run`, the ID of the run. If etcd is swapped with its API server,
# `etcd_url` and `etcd_watch` say the same of etcd. `api_is_out` is `yes` for etcd's part of that transaction.
# systemd's DefaultEnvironment may name a proxy, which must not receive requests to this host's own etcd and API server.
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY
export LC_ALL=C
patience=${CLUSTERCTL_PATIENCE:-1}
api=
case $action in
  restore) restore "$component"; exit ;;
  unfence|ended)
    [ ! -e "$(boot_of "$component")" ] || restore "$component"
    unfence
    [ "$action" = unfence ] || rm -f $state/$component.new "$dir/.$component.swap"
    exit 0 ;;
esac
[ "$action" != watch ] || watch_new
case $action in swap|restart|remove) ;; *) echo "swap.sh cannot do '$action'" >&2; exit 2 ;; esac
trap unfence EXIT
old=$(own_process "$component")
# A run that has lost its lock must stop before its first effect. A swap of etcd together with an API server is not the first effect of its
# transaction.
[ -n "$api_is_out" ] || still_ours
if [ "$action" = remove ]; then
  # The copy of the manifest and the drop-in that would restore it are removed before the manifest.
  forget_old "$component"
  back_in_place "$component"
  rm -f $dir/$component.yaml
  sync $dir
  if [ "$component" = kube-apiserver ] && [ -n "$old" ]; then refuse_balancers; end_drained "$old" & fi
  end=$(($(date +%s) + limit))
  while [ -n "$(own_process "$component")" ]; do
    [ "$(date +%s)" -lt $end ] || { echo "$component still runs $limit s after its manifest was removed" >&2; exit 1; }
    sleep 0.2
  done
  exit 0
fi
[ -s $state/$component.new ] || { echo "the new manifest of $component is empty; nothing was changed" >&2; exit 1; }
if cmp -s $state/$component.new $dir/$component.yaml; then
  if [ "$action" = restart ] && [ -n "$old" ]; then
    rm -f $state/$component.new
    known=$(logs)
    end_process "$old"
    wait_new "$old" "$limit" && exit 0
    echo "$component was ended so that it reads its changed kubeconfig, and did not serve at $url again within $limit s" >&2
    if [ -e $state/$component.old ]; then revert >&2; else evidence >&2; fi
    exit 1
  fi
  # The new manifest is in place already, because an earlier run was interrupted, so the script only waits until the component answers.
  rm -f $state/$component.new
  # A kubelet that has refused a static pod looks at it again only after a restart. Running pods do not notice the restart.
  wait_new none 15 || { systemctl restart kubelet; wait_new none "$limit"; } && exit 0
  echo "$component does not serve at $url" >&2
  [ ! -e $state/$component.old ] || revert >&2
  exit 1
fi
if command -v ctr >/dev/null; then
  # ctr waits forever for a containerd that hangs.
  images=$(timeout -k 5 $((60 * patience)) ctr -n k8s.io images ls -q 2>/dev/null) || {
    echo "containerd does not answer, so it is not known whether the image of $component is on this host; nothing was changed. See \`journalctl -u containerd\`" >&2
    exit 1
  }
  for c in ${etcd_url:+etcd} $component; do
    image=$(image_of $state/$c.new)
    [ -z "$image" ] || printf '%s\n' "$images" | grep -qxF "$image" || { echo "image $image is not on this host any more; nothing was changed" >&2; exit 1; }
  done
fi
# The quorum is checked here again, because minutes may have passed since the run checked it. A swap of an API server together with etcd stops the
# member, too.
case $component$etcd_url in
  kube-apiserver) ;;
  etcd|kube-apiserver?*)
    wait_quorum 60 || { echo "nothing was changed" >&2; exit 1; }
    [ -n "$api_is_out" ] || still_ours ;;
esac
# The present manifest is copied for a rollback. If an interrupted run has copied the manifest before it, and the present one does not work, that copy
# stays the way back.
if ! old_is_whole "$component" || serves; then
  keep_old "$component" || { echo "the manifest of $component cannot be kept in $state (no space?); nothing was changed" >&2; exit 1; }
fi
[ "$component" != etcd ] || note_etcd
case $component in
  etcd) relieve; [ -n "$api_is_out" ] || hand_over ;;
  # The leadership of etcd is handed over while this API server gets no new requests, because a request that is under way at that moment can be lost.
  # While a new process starts, the hand-over would take longer.
  kube-apiserver) refuse_balancers; [ -z "$etcd_url" ] || hand_over ;;
esac
known=$(logs) served=
exchange $state/$component.new "$old" && etcd_along && went=0 || went=$?
if [ $went = 3 ]; then
  echo "the new manifest of $component cannot be written to $dir (no space?); nothing was changed" >&2
  ! cmp -s $state/$component.old $dir/$component.yaml || forget_old "$component"
  exit 1
fi
if [ $went != 0 ]; then
  # If etcd did not come up, its own part of the transaction has printed the cause, so `revert` does not.
  told=quietly
  [ $went = 2 ] || { echo "the kubelet did not end $component within $limit s" >&2; told=; }
  rm -f ${etcd_url:+$state/etcd.new}
  [ ! -e $state/$component.old ] || revert $told >&2
  exit 1
fi
if wait_new "${old:-none}" "$limit"; then
  [ "$component" != etcd ] || rejoined
  rm -f $state/$component.new
  if [ -e $state/$component.old ] && [ "$watch" -gt 0 ]; then
    systemctl reset-failed "clusterctl-watch-$component" 2>/dev/null || :
    systemd-run --quiet --collect "--setenv=CLUSTERCTL_PATIENCE=$patience" --unit "clusterctl-watch-$component" -p "ExecStopPost=-/bin/sh $state/swap-$component.sh action=unfence component=$component" \
      /bin/sh $state/swap-$component.sh action=watch "component=$component" "url=$url" "limit=$limit" "watch=$watch" "balancers=$balancers" "run=$run"
  fi
  exit 0
fi
echo "$component did not serve at $url within $limit s, or ended again and again" >&2
if [ -e $state/$component.old ]; then revert >&2; else evidence >&2; fi
exit 1
