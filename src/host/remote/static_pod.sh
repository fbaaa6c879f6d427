# One transaction: swap a static pod's manifest, wait for the new process to serve, put the old one back if it does not.
# $1: component. $2: URL that answers 200 when it serves. $3: seconds. Input: the manifest; none takes the static pod away for good.
component=$1 url=$2 limit=$3
dir=/etc/kubernetes/manifests
state=/var/lib/clusterctl/static-pods
mkdir -p -m 0700 $state
umask 077
# A transaction that an interrupted run began is still the host's own to finish.
while systemctl is-active -q "clusterctl-static-pod-$component"; do sleep 0.3; done
cat >$state/$component.new
if ! systemctl is-active -q kubelet; then
  # Nothing runs it yet; the kubelet will find it.
  [ -s $state/$component.new ] || { rm -f $dir/$component.yaml $state/$component.new; exit 0; }
  mkdir -p -m 0700 $dir
  cp $state/$component.new $dir/.$component.new
  sync $dir/.$component.new
  mv -f $dir/.$component.new $dir/$component.yaml
  rm -f $state/$component.new
  exit 0
fi
cat >$state/swap.sh <<'SWAP'
component=$1 url=$2 limit=$3
dir=/etc/kubernetes/manifests
state=/var/lib/clusterctl/static-pods
comm=$(printf %.15s "$component")
serves() { [ "$(curl -sk -m 2 -o /dev/null -w '%{http_code}' "$url")" = 200 ]; }
place() { cp "$1" $dir/.$component.swap && sync $dir/.$component.swap && mv -f $dir/.$component.swap $dir/$component.yaml; }
# Waits until another process than $1 runs and serves. The second answer must still be there: a crash-looping server can answer once.
wait_new() {
  end=$(($(date +%s) + $2))
  good=0
  while [ "$(date +%s)" -lt $end ]; do
    pid=$(pgrep -xo "$comm" || :)
    if [ -n "$pid" ] && [ "$pid" != "$1" ] && serves; then
      good=$((good + 1))
      [ $good -ge 3 ] && return 0
    else
      good=0
    fi
    sleep 0.3
  done
  return 1
}
# An API server that was told to end listens no more, answers what it has begun, and then sits out its whole grace period for the sake of
# watches, which begin anew elsewhere. Once nothing has moved on its connections for 2 s it is ended.
end_drained() {
  quiet=0
  while [ $quiet -lt 10 ]; do
    [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$comm" ] || return 0
    if ss -Hltnp | grep -q "pid=$1,"; then
      quiet=0
    elif ss -Htnp state established | grep "pid=$1," | grep -qv '^0 *0 '; then
      quiet=0
    else
      quiet=$((quiet + 1))
    fi
    sleep 0.2
  done
  kill -KILL "$1" 2>/dev/null || :
}
old=$(pgrep -xo "$comm" || :)
if [ ! -s $state/$component.new ]; then
  rm -f $dir/$component.yaml $state/$component.new
  if [ "$component" = kube-apiserver ] && [ -n "$old" ]; then end_drained "$old" & fi
  end=$(($(date +%s) + limit))
  while pgrep -x "$comm" >/dev/null; do
    [ "$(date +%s)" -lt $end ] || { echo "$component still runs $limit s after its manifest was removed" >&2; exit 1; }
    sleep 0.2
  done
  exit 0
fi
if cmp -s $state/$component.new $dir/$component.yaml; then
  # It is in place already (an earlier run was interrupted): only see it serve.
  rm -f $state/$component.new
  # A kubelet that once refused a pod never looks at it again; starting anew, it does, and running pods do not notice.
  wait_new none 15 || { systemctl restart kubelet; wait_new none "$limit"; } || { echo "$component does not serve at $url" >&2; exit 1; }
  exit 0
fi
[ -e $dir/$component.yaml ] && cp $dir/$component.yaml $state/$component.old || rm -f $state/$component.old
place $state/$component.new
if [ "$component" = kube-apiserver ] && [ -n "$old" ]; then end_drained "$old" & fi
if wait_new "${old:-none}" "$limit"; then
  rm -f $state/$component.new $state/$component.old
  exit 0
fi
log=$(ls -t /var/log/pods/kube-system_$component-*/$component/*.log 2>/dev/null | head -n 1)
echo "$component did not serve at $url within $limit s" >&2
[ -n "$log" ] && { echo "last lines of its log:" >&2; tail -n 20 "$log" >&2; }
if [ -e $state/$component.old ]; then
  place $state/$component.old
  echo "the previous manifest is back" >&2
fi
exit 1
SWAP
# In a unit of its own, so that it ends well even if nobody watches any more.
exec systemd-run --quiet --wait --pipe --collect --unit "clusterctl-static-pod-$component" /bin/sh $state/swap.sh "$component" "$url" "$limit"
