# Takes away what Kubernetes leaves in the running system and in its own folders: containers, mounts, links, chains, routes, data.
# $1: `images` removes the images as well, `keep` keeps them.
images=$1
have() { command -v "$1" >/dev/null; }
if have ctr && [ -S /run/containerd/containerd.sock ]; then
  c() { ctr -n k8s.io "$@"; }
  tries=0
  while [ -n "$(c containers ls -q)" ]; do
    # KILL, not a request: the pods' own grace has no meaning any more.
    for t in $(c tasks ls -q); do c tasks kill -s KILL "$t" >/dev/null 2>&1 || :; done
    for t in $(c tasks ls -q); do c tasks delete "$t" >/dev/null 2>&1 || :; done
    for i in $(c containers ls -q); do c containers delete "$i" >/dev/null 2>&1 || :; done
    tries=$((tries + 1))
    [ $tries -lt 50 ] || { echo "these containers cannot be removed: $(c containers ls -q | tr '\n' ' ')" >&2; exit 1; }
  done
  # The runtime's own books still have them.
  [ $tries = 0 ] || systemctl restart containerd
  [ "$images" = keep ] || { i=$(c images ls -q); [ -z "$i" ] || c images rm --sync $i >/dev/null; }
fi
# Deepest first.
grep -E ' (/var/lib/kubelet/|/run/netns/cni-)' /proc/mounts | cut -d' ' -f2 | sort -r | while read -r m; do umount -l "$m"; done
rm -f /run/netns/cni-*
for l in cni0 flannel.1 kube-ipvs0 kube-bridge; do [ ! -e /sys/class/net/$l ] || ip link delete $l; done
for l in /sys/class/net/veth*; do
  [ -e "$l" ] || continue
  # A pod's end of the pair is gone with its namespace; what still hangs on a bridge of somebody else is not ours.
  [ -e "$l/master" ] || ip link delete "${l##*/}" 2>/dev/null || :
done
ip route show proto 86 2>/dev/null | while read -r r; do ip route del $r proto 86; done
for family in iptables ip6tables; do
  have $family-save || continue
  if $family-save 2>/dev/null | grep -qE '^:(KUBE-|CNI-|CLUSTERCTL-)'; then
    $family-save | grep -vE '^:(KUBE-|CNI-|CLUSTERCTL-)|^-A (KUBE-|CNI-|CLUSTERCTL-)|-j (KUBE-|CNI-|CLUSTERCTL-)|clusterctl' | $family-restore
  fi
done
if have ipvsadm; then ipvsadm --clear; fi
for d in /var/lib/kubelet /var/lib/etcd /var/lib/cni /etc/kubernetes /run/clusterctl-kubectl; do
  [ ! -d $d ] || find $d -mindepth 1 -delete
done
rm -rf /var/log/pods/* /var/log/containers/*
