#!/bin/bash
# A reset says what it removes, removes it, and leaves hosts on which a cluster can be founded anew.
# Needs: what 92-replace.sh leaves. Leaves: hosts without a cluster and without software.
. "$(dirname "$0")/lib.sh"
expect "reset without a terminal and without --yes is refused" 2 ctl reset </dev/null
check "the cluster is untouched by that" kubectl get nodes
expect "a single master is not reset under a living cluster" 4 ctl reset --limit m2 --yes
check "a worker is" ctl reset --limit w2 --yes
check "its node is gone" sh -c "! kubectl get node w2"
check "apply brings it back" ctl apply
check "five nodes again" until_true 60 nodes_ready 5
check "reset" ctl reset --yes
for h in m1 m2 m3 w1 w2; do
    check "$h: no files" on "$h" sh -c '! ls -d /etc/kubernetes /etc/cni/net.d/*clusterctl* /etc/systemd/system/kubelet* /usr/local/bin/kube* /usr/local/bin/etcdctl /var/lib/clusterctl 2>/dev/null | grep .'
    check "$h: no data" on "$h" sh -c '! ls -A /var/lib/kubelet /var/lib/etcd /var/lib/cni 2>/dev/null | grep -v : | grep .'
    check "$h: no mounts" on "$h" sh -c '! grep -E " (/var/lib/kubelet/|/run/netns/)" /proc/mounts'
    check "$h: no links" on "$h" sh -c '! ip -o link | grep -E "cni0|veth"'
    check "$h: no chains" on "$h" sh -c '! iptables-save | grep -iE "KUBE-|CNI-|clusterctl"'
    check "$h: no processes" on "$h" sh -c '! pgrep -x "kubelet|etcd|kube-apiserver|kube-proxy|kube-scheduler|kube-controller"'
    check "$h: no routes" on "$h" sh -c '! ip route show proto 86 | grep .'
done
check "a second reset has nothing to do" sh -c "ctl reset --yes 2>&1 | grep -q 'nothing to do'"
finish
