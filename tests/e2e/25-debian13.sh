#!/bin/bash
# A cluster of a Debian 13 control plane and a Debian 12 worker, and the reverse: made, corrected, upgraded and reset.
# Needs: nothing; makes its own hosts. Leaves: no hosts.
. "$(dirname "$0")/lib.sh"
lab down >/dev/null 2>&1
check "two plain hosts of both kinds start" lab up --masters 1 --workers 1 --lbs 0 --hosts debian13,debian12
runs_debian() { on "$1" grep -q "^VERSION_ID=\"$2\"" /etc/os-release; }
check "m1 runs Debian 13" runs_debian m1 13
check "w1 runs Debian 12" runs_debian w1 12
for h in m1 w1; do
    check "$h has no failed unit" wait_until 30 on "$h" sh -c '[ "$(systemctl is-system-running)" = running ]'
done
lab_inventory single.yaml
without_pending_pods
sed -i "s|^    roles: \[control-plane, worker\]|    roles: [control-plane]\n  - name: w1\n    address: $SUBNET.21\n    roles: [worker]|" "$CLUSTERCTL_INVENTORY"

start=$(millis)
check "init" ctl init
say "init of two bare hosts: $(($(millis) - start)) ms"
expect "nothing is left to do" 0 ctl plan
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "two nodes are Ready" nodes_ready 2
check "the control plane is a Debian 13 node" sh -c "kubectl get node m1 -o jsonpath='{.status.nodeInfo.osImage}' | grep -q 'Linux 13'"
kubectl create deployment web --image="$AGNHOST" -- /agnhost netexec >/dev/null
kubectl expose deployment web --port 80 --target-port 8080 >/dev/null
check "a pod runs on the worker" kubectl rollout status deployment web --timeout 60s
service=$(kubectl get service web -o jsonpath='{.spec.clusterIP}')
check "its Service answers on the Debian 13 host" wait_until 20 on m1 curl -sf -m 2 -o /dev/null "http://$service/hostname"

on w1 rm /etc/cni/net.d/10-clusterctl.conflist
on m1 sh -c 'echo "maxPods: 7" >>/var/lib/kubelet/config.yaml'
on m1 sysctl -qw net.ipv4.ip_forward=0
expect "plan shows what was changed by hand" 6 ctl plan
check "apply corrects it" ctl apply
expect "nothing is left to do after it" 0 ctl plan

start=$(millis)
check "upgrade to $NEXT" ctl upgrade --version "$NEXT"
say "upgrade of two nodes: $(($(millis) - start)) ms"
check "both nodes are Ready at $NEXT" at_version "$NEXT" 2
expect "nothing is left to do after the upgrade" 0 ctl plan
check "reset" ctl reset --yes
for h in m1 w1; do
    check "$h: no file is left" on "$h" sh -c '! ls -d /etc/kubernetes /etc/systemd/system/kubelet* /usr/local/bin/kube* /var/lib/clusterctl /var/lib/etcd/member 2>/dev/null | grep .'
    check "$h: no mount is left" on "$h" sh -c '! grep -E " (/var/lib/kubelet/|/run/netns/)" /proc/mounts'
    check "$h: no iptables chain is left" on "$h" sh -c '! iptables-save | grep -iE "KUBE-|CNI-|clusterctl"'
    check "$h: no process is left" on "$h" sh -c '! pgrep -x "kubelet|etcd|kube-apiserver|kube-proxy"'
done
lab down

# The reverse: a Debian 13 worker with a Debian 12 control plane.
check "two plain hosts start, with the kinds exchanged" lab up --masters 1 --workers 1 --lbs 0 --hosts debian12,debian13
check "w1 runs Debian 13" runs_debian w1 13
set_version "$VERSION"
check "init with a Debian 13 worker" ctl init
expect "nothing is left to do" 0 ctl plan
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "two nodes are Ready" nodes_ready 2
check "reset" ctl reset --yes
lab down
finish
