# One transaction: swap a static pod's manifest, wait for the new process to serve, put the old one back if it does not, or does not stay.
# $1: component. $2: URL that answers 200 when it serves. $3: seconds. $4: age in seconds up to which the new process is watched afterwards.
# $5: addresses of load balancers, by comma, `all` where they are not known, or nothing. $6: the script that does it.
# Input: the manifest; none takes the static pod away for good.
component=$1 url=$2 limit=$3 watch=$4 balancers=$5 swap=$6
dir=/etc/kubernetes/manifests
state=/var/lib/clusterctl/static-pods
mkdir -p -m 0700 $state
umask 077
# A transaction that an interrupted run began is still the host's own to finish.
while systemctl is-active -q "clusterctl-static-pod-$component" || systemctl is-active -q "clusterctl-watch-$component"; do sleep 0.3; done
cat >$state/$component.new
rm -f $state/$component.failed.*
# What this run put back on this host is put back together: nothing newer goes beside it.
put_back "$run" || { rm -f $state/*.failed.* $state/$component.new; exit 1; }
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
printf '%s' "$swap" >$state/.swap-$component
mv -f $state/.swap-$component $state/swap-$component.sh
# In a unit of its own, so that it ends well even if nobody watches any more.
exec systemd-run --quiet --wait --pipe --collect --unit "clusterctl-static-pod-$component" \
  -p "ExecStopPost=-/bin/sh $state/swap-$component.sh unfence $component - 0 0 $balancers" \
  /bin/sh $state/swap-$component.sh swap "$component" "$url" "$limit" "$watch" "$balancers" "$run"
