#!/bin/bash
# A 3+2 cluster that kubeadm made is adopted, grown by a worker and a master, and shrunk again; nothing of it is restarted.
# Needs: nothing; makes its own bare hosts, for kubeadm prepares them. Leaves: hosts without a cluster.
. "$(dirname "$0")/lib.sh"
lab down >/dev/null 2>&1
check "six plain hosts" lab up
start=$(millis)
check "a cluster by kubeadm" bash -c "cd '$ROOT/tests/lab' && ./kubeadm.sh all"
say "kubeadm's 3+2: $(($(millis) - start)) ms"

# running HOST: every process whose restart would be felt, with its container, pid and start. A program that is about to start another one is
# two of its name for a moment; of haproxy there are always two.
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
check "kubeadm's DaemonSet runs everywhere" until_true 90 settled
all_running >"$WORK/running.before"
check "what runs is known: four static pods on each master" test "$(grep -cE '^(etcd|kube-apiserver|kube-controller|kube-scheduler) [0-9]+ [0-9]+ [0-9a-f]{64}$' "$WORK/running.before")" = 12

# What no cluster tells of itself: how hosts are reached, and where software comes from.
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
check "with a word about adopt" sh -c "ctl init 2>&1 | grep -q 'clusterctl adopt'"
rm -f "$CLUSTERCTL_INVENTORY"
expect "a worker is no place to begin" 4 ctl adopt "$SUBNET.21" --with "$WORK/with.yaml"
expect "a dry run" 0 ctl adopt "$SUBNET.11" --with "$WORK/with.yaml" --dry-run
check "writes nothing here" test ! -e "$CLUSTERCTL_INVENTORY"
check "nor one that takes the balancer as well, and says so" sh -c "ctl adopt '$SUBNET.11' --with '$WORK/with.yaml' --load-balancer lb1=$SUBNET.31 --dry-run | grep -q 'lb1: write /etc/haproxy/haproxy.cfg'"
expect "without an answer nothing is adopted" 2 ctl adopt "$SUBNET.11" --with "$WORK/with.yaml"
check "but the inventory is written, and valid" ctl validate
expect "and is not overwritten" 4 ctl adopt "$SUBNET.11" --with "$WORK/with.yaml"
check "no host is marked" on m1 test ! -e /var/lib/clusterctl/cluster
start=$(millis)
ctl adopt --yes >"$WORK/adopt.out" 2>&1; status=$?
say "adopt: $(($(millis) - start)) ms"
check "adopt" test $status = 0
check "it says why apply will change what" grep -q 'kubectl and etcdctl of the cluster' "$WORK/adopt.out"
check "and that nothing is restarted by it" grep -q 'no static pod, kubelet or containerd is restarted' "$WORK/adopt.out"
cat "$WORK/adopt.out"
check "the very same processes run" same_as_before
expect "once more there is nothing to adopt" 0 ctl adopt --yes

expect "plan shows what is left" 6 ctl plan
start=$(millis)
check "apply" ctl apply
say "the first apply after it: $(($(millis) - start)) ms"
check "the very same processes run after apply" same_as_before
expect "plan is empty" 0 ctl plan
check "status says healthy" ctl status
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "kubeadm still knows its certificates" on m1 kubeadm certs check-expiration
check "and its configuration" sh -c "on m1 kubeadm token create --print-join-command --kubeconfig /etc/kubernetes/admin.conf | grep -q 'kubeadm join'"

# The CNI is its owner's: who brings a host brings its part of it.
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
expect "plan is empty with them" 0 ctl plan
if [ -n "$CLUSTER_STATUS" ]; then
    check "kubeadm sees four control planes" sh -c "on m4 kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get cm kubeadm-config -o yaml | grep -A2 'm4:' | grep -q '$SUBNET.14'"
fi
# From 1.18 on kubeadm finds the addresses of API servers in annotations of their pods.
check "kubeadm finds the address of the fourth" sh -c "on m4 kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get pod kube-apiserver-m4 -o yaml | grep -q 'kube-apiserver.advertise-address.endpoint: $SUBNET.14:6443'"
start=$(millis)
check "they leave again" sh -c "ctl remove --yes m4 && ctl remove --yes w3"
say "remove of 1 master and 1 worker: $(($(millis) - start)) ms"
cp "$WORK/adopted.yaml" "$CLUSTERCTL_INVENTORY"
check "five nodes are Ready" nodes_ready 5
check "three members vote" test "$(members m1)" = "m1 m2 m3"
expect "plan is empty without them" 0 ctl plan
check "the very same processes run at the end" same_as_before

# From now on it is like any other: what the inventory changes, changes, and the kubelet becomes ours with it.
sed -i 's|^    imageGCHighThresholdPercent|    maxPods: 100\n&|' "$CLUSTERCTL_INVENTORY"
check "a changed kubelet configuration is applied" ctl apply --limit w1
check "by clusterctl's own unit" on w1 grep -q 'Kubernetes Node Agent' /etc/systemd/system/kubelet.service
check "on that host alone" on w2 sh -c '! grep -q "Kubernetes Node Agent" /etc/systemd/system/kubelet.service'
has_room() { [ "$(kubectl get node w1 -o 'jsonpath={.status.capacity.pods}')" = 100 ]; }
check "and its node says so" until_true 60 has_room
check "reset takes an adopted cluster away" ctl reset --yes --keep-software
check "nothing of it is left on m1" on m1 test ! -e /etc/kubernetes -a ! -e /var/lib/etcd/member -a ! -e /var/lib/clusterctl/adopted
# What only kubeadm's preparation of the lab's hosts has.
for h in "${NODES[@]}"; do on "$h" sh -c '[ ! -L /opt/cni/bin ] || rm /opt/cni/bin; rm -f /etc/cni/net.d/10-bridge.conflist'; done
lab destroy w3; lab destroy m4
finish
