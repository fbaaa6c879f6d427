# One transaction: swap a static pod's manifest, wait for the new process to serve, put the old one back if it does not, or does not stay.
# $1: component. $2: URL that answers 200 when it serves. $3: seconds. $4: age in seconds up to which the new process is watched afterwards.
# $5: addresses of load balancers, by comma, `all` where they are not known, or nothing. $6: the script that does it.
# For an API server whose etcd goes along, $7 and $8: etcd's URL, and to which age it is watched; $9: bytes of its manifest.
# Input: etcd's manifest where there is one, and the component's; none takes the static pod away for good.
component=$1 url=$2 limit=$3 watch=$4 balancers=$5 swap=$6 etcd_url=${7:-} etcd_watch=${8:-} etcd_bytes=${9:-}
dir=/etc/kubernetes/manifests
state=/var/lib/clusterctl/static-pods
all="${etcd_url:+etcd }$component"
mkdir -p -m 0700 $state
umask 077
# A transaction that an interrupted run began is still the host's own to finish; etcd's may be part of its API server's.
case $component in etcd|kube-apiserver) units='clusterctl-static-pod-etcd clusterctl-static-pod-kube-apiserver' ;; *) units=clusterctl-static-pod-$component ;; esac
for c in $all; do units="$units clusterctl-watch-$c"; done
while systemctl is-active -q $units; do sleep 0.3; done
[ -z "$etcd_url" ] || head -c "$etcd_bytes" >$state/etcd.new
cat >$state/$component.new
rm -f $state/$component.failed.*
# What this run put back on this host is put back together: nothing newer goes beside it.
put_back "$run" || { for c in $all; do rm -f $state/$c.new; done; rm -f $state/*.failed.*; exit 1; }
if ! systemctl is-active -q kubelet; then
  # Nothing runs it yet; the kubelet will find it.
  [ -s $state/$component.new ] || { rm -f $dir/$component.yaml $state/$component.new; exit 0; }
  mkdir -p -m 0700 $dir
  for c in $all; do
    cp $state/$c.new $dir/.$c.new
    sync $dir/.$c.new
    mv -f $dir/.$c.new $dir/$c.yaml
    rm -f $state/$c.new
  done
  exit 0
fi
for c in $all; do
  printf '%s' "$swap" >$state/.swap-$c
  mv -f $state/.swap-$c $state/swap-$c.sh
done
# In a unit of its own, so that it ends well even if nobody watches any more.
# begin COMPONENT URL WATCH [ETCD_URL ETCD_WATCH]
begin() {
  c=$1 at=$2 age=$3
  shift 3
  systemd-run --quiet --wait --pipe --collect --unit "clusterctl-static-pod-$c" \
    -p "ExecStopPost=-/bin/sh $state/swap-$c.sh unfence $c - 0 0 $balancers" \
    /bin/sh $state/swap-$c.sh swap "$c" "$at" "$limit" "$age" "$balancers" "$run" "$@"
}
# Where an interrupted run came through with one of the two, each goes by itself.
if [ -n "$etcd_url" ] && { cmp -s $state/etcd.new $dir/etcd.yaml || cmp -s $state/$component.new $dir/$component.yaml; }; then
  begin etcd "$etcd_url" "$etcd_watch" || { rm -f $state/$component.new; exit 1; }
  etcd_url=
fi
if [ -n "$etcd_url" ]; then begin "$component" "$url" "$watch" "$etcd_url" "$etcd_watch"; else begin "$component" "$url" "$watch"; fi
