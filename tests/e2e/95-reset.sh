#!/bin/bash
# A reset shows what it removes, removes it, and leaves hosts on which a new cluster can be made.
# Needs: what 92-replace.sh leaves. Leaves: hosts without a cluster and without software.
. "$(dirname "$0")/lib.sh"
expect "reset without a terminal and without --yes is refused" 2 ctl reset </dev/null
check "the cluster is unchanged" kubectl get nodes
expect "a single master of a running cluster is not reset" 4 ctl reset --limit m2 --yes
check "a worker is reset" ctl reset --limit w2 --yes
check "its node is deleted" sh -c "! kubectl get node w2"
check "apply joins it again" ctl apply
check "five nodes are Ready again" wait_until 60 nodes_ready 5
check "reset" ctl reset --yes
for h in m1 m2 m3 w1 w2; do
    check "$h: no file is left" on "$h" sh -c '! ls -d /etc/kubernetes /etc/cni/net.d/*clusterctl* /etc/systemd/system/kubelet* /usr/local/bin/kube* /usr/local/bin/etcdctl /var/lib/clusterctl 2>/dev/null | grep .'
    check "$h: no data is left" on "$h" sh -c '! ls -A /var/lib/kubelet /var/lib/etcd /var/lib/cni 2>/dev/null | grep -v : | grep .'
    check "$h: no mount is left" on "$h" sh -c '! grep -E " (/var/lib/kubelet/|/run/netns/)" /proc/mounts'
    check "$h: no network link is left" on "$h" sh -c '! ip -o link | grep -E "cni0|veth"'
    check "$h: no iptables chain is left" on "$h" sh -c '! iptables-save | grep -iE "KUBE-|CNI-|clusterctl"'
    check "$h: no process is left" on "$h" sh -c '! pgrep -x "kubelet|etcd|kube-apiserver|kube-proxy|kube-scheduler|kube-controller"'
    check "$h: no route is left" on "$h" sh -c '! ip route show proto 86 | grep .'
done
check "a second reset has nothing to do" sh -c "ctl reset --yes 2>&1 | grep -q 'nothing to do'"
finish
