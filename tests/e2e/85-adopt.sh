#!/bin/bash
# A 3+2 cluster that kubeadm made is adopted, a worker and a master join and are removed again, and no component is restarted.
# Needs: nothing; makes its own bare hosts, because kubeadm prepares them. Leaves: hosts without a cluster.
. "$(dirname "$0")/lib.sh"
lab down >/dev/null 2>&1
check "six plain hosts start" lab up
start=$(millis)
check "kubeadm makes a cluster" bash -c "cd '$ROOT/tests/lab' && ./kubeadm.sh all"
say "kubeadm's 3+2: $(($(millis) - start)) ms"

# running HOST: prints every process whose restart would interrupt a service, with its PID, start time and container, and all tasks of containerd.
# Only the oldest process of each name is printed, because a program that is about to start another one is seen twice for a moment. haproxy always has
# two processes, and both are printed.
running() {
    on "$1" sh -c 'for c in etcd kube-apiserver kube-controller kube-scheduler kube-proxy kubelet containerd haproxy; do
        oldest=o
        [ $c != haproxy ] || oldest=
        for p in $(pgrep -x$oldest $c); do
            echo "$c $p $(cut -d" " -f22 /proc/$p/stat) $(sed -n "s,.*\([0-9a-f]\{64\}\).*,\1,p;q" /proc/$p/cgroup)"
        done
    done; ctr -n k8s.io tasks ls -q 2>/dev/null | sort'
}
all_running() { for h in "${HOSTS[@]}"; do echo "== $h"; running "$h"; done; }
same_as_before() { diff "$WORK/running.before" <(all_running); }
settled() { [ "$(all_running | grep -c '^kube-proxy ')" = 5 ]; }
check "kubeadm's DaemonSet runs everywhere" wait_until 90 settled
all_running >"$WORK/running.before"
check "the processes of four static pods are seen on each master" test "$(grep -cE '^(etcd|kube-apiserver|kube-controller|kube-scheduler) [0-9]+ [0-9]+ [0-9a-f]{64}$' "$WORK/running.before")" = 12

# `clusterctl adopt` cannot learn from a cluster how its hosts are reached over SSH and where software is downloaded from, so this file for `--with`
# has both.
known=known_hosts
[ "$NET" = clusterctl-lab ] || known=known_hosts-$NET
cat >"$WORK/with.yaml" <<END
ssh: { user: ops, identityFiles: [$LAB/ssh/id_ed25519], knownHosts: [$LAB/$known] }
artifacts: { binaries: "http://$SUBNET.2", registryMirrors: { "$SUBNET.2:5000": ["http://$SUBNET.2:5000"] } }
containerd: { restrictOomScoreAdj: true }
END
rm -f "$CLUSTERCTL_INVENTORY"
lab_inventory ha-haproxy.yaml
expect "init refuses its hosts" 4 ctl init
check "the message names clusterctl adopt" sh -c "ctl init 2>&1 | grep -q 'clusterctl adopt'"
rm -f "$CLUSTERCTL_INVENTORY"
expect "adopt refuses a worker as the first host" 4 ctl adopt "$SUBNET.21" --with "$WORK/with.yaml"
expect "a dry run succeeds" 0 ctl adopt "$SUBNET.11" --with "$WORK/with.yaml" --dry-run
check "the dry run writes no inventory" test ! -e "$CLUSTERCTL_INVENTORY"
check "a dry run that includes the balancer shows its configuration" sh -c "ctl adopt '$SUBNET.11' --with '$WORK/with.yaml' --load-balancer lb1=$SUBNET.31 --dry-run | grep -q 'lb1: write /etc/haproxy/haproxy.cfg'"
expect "without an answer nothing is adopted" 2 ctl adopt "$SUBNET.11" --with "$WORK/with.yaml"
check "the inventory is written and valid" ctl validate
expect "an existing inventory is not overwritten" 4 ctl adopt "$SUBNET.11" --with "$WORK/with.yaml"
check "no host is marked" on m1 test ! -e /var/lib/clusterctl/cluster
start=$(millis)
ctl adopt --yes >"$WORK/adopt.out" 2>&1; status=$?
say "adopt: $(($(millis) - start)) ms"
check "adopt" test $status = 0
check "adopt reports what apply will change, and why" grep -q 'kubectl and etcdctl of the cluster' "$WORK/adopt.out"
check "adopt reports that nothing will be restarted" grep -q 'no static pod, kubelet or containerd is restarted' "$WORK/adopt.out"
cat "$WORK/adopt.out"
check "the very same processes run" same_as_before
expect "a further adopt changes nothing" 0 ctl adopt --yes

expect "plan shows what is left" 6 ctl plan
start=$(millis)
check "apply" ctl apply
say "the first apply after it: $(($(millis) - start)) ms"
check "the very same processes run after apply" same_as_before
expect "plan is empty" 0 ctl plan
check "status reports a healthy cluster" ctl status
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "kubeadm still finds its certificates" on m1 kubeadm certs check-expiration
check "and its configuration" sh -c "on m1 kubeadm token create --print-join-command --kubeconfig /etc/kubernetes/admin.conf | grep -q 'kubeadm join'"

# In this cluster, the operator manages the CNI plugin. So its configuration is written to the new hosts here, as an operator must do it.
lab add w3 "$SUBNET.23" >/dev/null; lab add m4 "$SUBNET.14" >/dev/null
for h in w3:23 m4:14; do
    on "${h%:*}" mkdir -p /etc/cni/net.d
    on m1 cat /etc/cni/net.d/10-bridge.conflist | sed "s|10\.244\.[0-9]*\.0/24|10.244.${h#*:}.0/24|" |
        on "${h%:*}" sh -c 'cat >/etc/cni/net.d/10-bridge.conflist'
done
cp "$CLUSTERCTL_INVENTORY" "$WORK/adopted.yaml"
printf '  - { name: w3, address: %s, roles: [worker] }\n  - { name: m4, address: %s, roles: [control-plane] }\n' "$SUBNET.23" "$SUBNET.14" >>"$CLUSTERCTL_INVENTORY"
start=$(millis)
check "a worker and a master join" ctl join w3 m4
say "join of 1 worker and 1 master, bare hosts: $(($(millis) - start)) ms"
check "seven nodes are Ready" nodes_ready 7
check "four members vote" test "$(members m1)" = "m1 m2 m3 m4"
check "the very same processes run on the adopted hosts" same_as_before
expect "plan is empty after the join" 0 ctl plan
if [ -n "$CLUSTER_STATUS" ]; then
    check "kubeadm sees four control planes" sh -c "on m4 kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get cm kubeadm-config -o yaml | grep -A2 'm4:' | grep -q '$SUBNET.14'"
fi
# From 1.18 on, kubeadm reads the addresses of API servers from annotations of their pods.
check "kubeadm finds the address of the fourth master" sh -c "on m4 kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get pod kube-apiserver-m4 -o yaml | grep -q 'kube-apiserver.advertise-address.endpoint: $SUBNET.14:6443'"
start=$(millis)
check "they are removed again" sh -c "ctl remove --yes m4 && ctl remove --yes w3"
say "remove of 1 master and 1 worker: $(($(millis) - start)) ms"
cp "$WORK/adopted.yaml" "$CLUSTERCTL_INVENTORY"
check "five nodes are Ready" nodes_ready 5
check "three members vote" test "$(members m1)" = "m1 m2 m3"
expect "plan is empty after the removal" 0 ctl plan
check "the very same processes run at the end" same_as_before

# An adopted cluster is maintained like any other: a changed kubelet configuration is applied, and the systemd unit of the kubelet on that host is
# then replaced by that of clusterctl.
sed -i 's|^    imageGCHighThresholdPercent|    maxPods: 100\n&|' "$CLUSTERCTL_INVENTORY"
check "a changed kubelet configuration is applied" ctl apply --limit w1
check "w1 has the kubelet unit of clusterctl" on w1 grep -q 'Kubernetes Node Agent' /etc/systemd/system/kubelet.service
check "w2 does not have it" on w2 sh -c '! grep -q "Kubernetes Node Agent" /etc/systemd/system/kubelet.service'
has_room() { [ "$(kubectl get node w1 -o 'jsonpath={.status.capacity.pods}')" = 100 ]; }
check "the node of w1 has the new value" wait_until 60 has_room
check "reset removes an adopted cluster" ctl reset --yes --keep-software
check "no file of the cluster is left on m1" on m1 test ! -e /etc/kubernetes -a ! -e /var/lib/etcd/member -a ! -e /var/lib/clusterctl/adopted
# `clusterctl reset` does not remove these files, because the lab made them when it prepared the hosts for kubeadm.
for h in "${NODES[@]}"; do on "$h" sh -c '[ ! -L /opt/cni/bin ] || rm /opt/cni/bin; rm -f /etc/cni/net.d/10-bridge.conflist'; done
lab destroy w3; lab destroy m4
finish
