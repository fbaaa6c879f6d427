# Swaps the manifest of a static pod in one transaction, or removes a static pod. A swap waits until the new process answers, and puts the previous
# manifest back if the new process does not answer or does not stay up.
# Arguments: `action`, which is `swap`, `restart` (a swap that ends the process even if the manifest stays the same) or `remove`; `component`; `url`,
# which answers 200 if the component works, and `limit`, the time in seconds for that; `watch`, the age in seconds up to which the new process is
# watched afterwards; `balancers`, the addresses of load balancers, separated by commas, `all` if they are not known, or empty; `swap`, the text of
# swap.sh; and `bytes`, the size of the manifest. If etcd is swapped together with its API server, `etcd_url` is the URL of etcd, `etcd_watch` the age
# in seconds up to which etcd is watched, and `etcd_bytes` the size of etcd's manifest; otherwise they are empty.
# Input of swap and restart: the manifest of etcd if etcd is swapped, too, then the manifest of the component.
all="${etcd_url:+etcd }$component"
umask 077
[ "$action" = remove ] || take_input
# The script of a run that was killed may still be changing this component, and only one script at a time may do so.
exec 8>/run/clusterctl-static-pod-$component.lock
take_turn 8 60 $component
[ -z "$etcd_url" ] || { exec 9>/run/clusterctl-static-pod-etcd.lock; take_turn 9 60 etcd; }
# The host itself finishes a transaction that an interrupted run began, and this script waits for its end. A swap of etcd may be part of a transaction
# of the API server, so for each of the two the transactions of both are waited for.
case $component in
  etcd|kube-apiserver) units='clusterctl-static-pod-etcd.service clusterctl-static-pod-kube-apiserver.service' ;;
  *) units=clusterctl-static-pod-$component.service ;;
esac
for c in $all; do units="$units clusterctl-watch-$c.service"; done
idle() { ! busy $units; }
comes $((limit * 2)) idle || {
  echo "what an earlier run began with static pods of this host is still under way after $((limit * 2)) s; nothing was changed; see \`systemctl list-units 'clusterctl-*'\`" >&2
  exit 1
}
# If the kubelet is starting or stopping, the script waits for its next state, because a swap can be watched only while the kubelet runs.
tries=0
while :; do
  kubelet=$(systemctl show -p ActiveState --value kubelet)
  case $kubelet in activating|deactivating|reloading|refreshing) ;; *) break ;; esac
  tries=$((tries + 1))
  [ $tries -lt 200 ] || break
  sleep 0.3
done
still_ours
mkdir -p -m 0700 $state
fail() { for c in $all; do rm -f "$state/.$c.new" "$state/$c.new" "$dir/.$c.swap"; done; echo "$*" >&2; exit 1; }
install_script() { printf '%s' "$swap" >"$state/.swap-$1" && sync "$state/.swap-$1" && mv -f "$state/.swap-$1" "$state/swap-$1.sh" && sync $state; }
# put_right COMPONENT: undoes what an interrupted transaction of the component left. Removes its iptables rules, puts back a manifest that was set
# aside, and deletes a new manifest that was not placed. Does nothing while a transaction of the component is under way.
put_right() {
  [ -e "$state/$1.rules" ] || [ -e "$state/$1.new" ] || [ -e "$(boot_of "$1")" ] || return 0
  # A swap of etcd may be part of a transaction of the API server, so etcd is left alone while one is under way.
  [ "$1" != etcd ] || ! busy clusterctl-static-pod-kube-apiserver.service || return 0
  ! busy "clusterctl-static-pod-$1.service" "clusterctl-watch-$1.service" || return 0
  install_script "$1" && /bin/sh "$state/swap-$1.sh" action=ended "component=$1" >&2
}
for c in etcd kube-apiserver kube-controller-manager kube-scheduler; do
  case " $all " in
    *" $c "*) put_right $c || : ;;
    # If another script holds the lock of this component, it is about to place a manifest of the component, so the component is skipped.
    *) (exec 7>/run/clusterctl-static-pod-$c.lock; ! flock -n 7 || put_right $c) || : ;;
  esac
done
# receive BYTES COMPONENT: reads BYTES bytes of the input as the new manifest of the component.
receive() {
  [ "$1" -gt 0 ] || fail "the new manifest of $2 is empty; nothing was changed"
  head -c "$1" >"$state/.$2.new" && [ "$(stat -c %s "$state/.$2.new")" = "$1" ] && mv -f "$state/.$2.new" "$state/$2.new" ||
    fail "the new manifest of $2 cannot be written to $state (no space?); nothing was changed"
}
if [ "$action" != remove ]; then
  [ -z "$etcd_url" ] || receive "$etcd_bytes" etcd
  receive "$bytes" "$component"
fi
rm -f $state/$component.failed.*
# If an earlier swap of this run on this host was rolled back, no new manifest is placed beside the previous one.
report_rollbacks "$run" || { rm -f $state/*.failed.*; fail "the manifest of $component stays as it is beside it"; }
case $kubelet in active|reloading|refreshing) ;; *)
  # The kubelet does not run, and reads the new manifest when it starts. A copy of the previous manifest is kept: the next run puts it back if the
  # component does not answer with the new one. A whole copy that is there already stays: what is in place now was then placed without a kubelet as
  # well, or by a run that was interrupted, and nobody has seen it serve.
  if [ "$action" = remove ]; then
    forget_old "$component"
    rm -f $dir/$component.yaml
    exit 0
  fi
  mkdir -p -m 0700 $dir
  # A copy that was staged by an interrupted run is not the manifest of this one.
  for c in $all; do rm -f "$dir/.$c.swap"; done
  for c in $all; do
    cmp -s $state/$c.new $dir/$c.yaml || { { old_is_whole $c || keep_old $c; } && stage $state/$c.new $c; } || fail "the manifest of $c cannot be written (no space?); nothing was changed"
  done
  # A container outlives its kubelet. When the kubelet starts, it ends a member of etcd whose manifest has changed.
  if [ -e $dir/.etcd.swap ]; then
    wait_quorum 60 || fail "nothing was changed"
    still_ours
    [ ! -e $dir/etcd.yaml ] || note_etcd
  fi
  for c in $all; do
    [ ! -e $dir/.$c.swap ] || place $c
    rm -f $state/$c.new
  done
  exit 0 ;;
esac
for c in $all; do install_script $c || fail "the script of the transaction cannot be written to $state (no space?); nothing was changed"; done
# The transaction runs in a transient systemd unit, so that it finishes even if the run has ended. Whatever its result, each component has a manifest
# in place afterwards.
# begin COMPONENT URL WATCH [ETCD_URL]: runs one transaction and waits for its end. With ETCD_URL, etcd is swapped in the same transaction.
begin() {
  systemd-run --quiet --wait --pipe --collect "--setenv=CLUSTERCTL_PATIENCE=${CLUSTERCTL_PATIENCE:-1}" --unit "clusterctl-static-pod-$1" \
    ${4:+-p "ExecStopPost=-/bin/sh $state/swap-etcd.sh action=ended component=etcd"} \
    -p "ExecStopPost=-/bin/sh $state/swap-$1.sh action=ended component=$1" \
    /bin/sh "$state/swap-$1.sh" "action=$action" "component=$1" "url=$2" "limit=$limit" "watch=$3" "balancers=$balancers" "run=$run" \
    "etcd_url=${4:-}" "etcd_watch=$etcd_watch"
}
# If an interrupted run has already placed one of the two manifests, each component is swapped by itself.
if [ -n "$etcd_url" ] && { cmp -s $state/etcd.new $dir/etcd.yaml || cmp -s $state/$component.new $dir/$component.yaml; }; then
  begin etcd "$etcd_url" "$etcd_watch" || { rm -f $state/$component.new; exit 1; }
  etcd_url=
fi
begin "$component" "$url" "$watch" "$etcd_url"
