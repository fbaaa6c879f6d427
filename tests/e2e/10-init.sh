#!/bin/bash
# From an inventory to a cluster: five Ready nodes, three etcd members with a quorum, pods and a Service that reach each other.
# Needs: nothing; makes its own bare hosts, because it tests preparation as well. Leaves: the 3+2 cluster of the lab's release.
. "$(dirname "$0")/lib.sh"
lab down >/dev/null 2>&1
check "six plain hosts start" lab up
lab_inventory ha-haproxy.yaml

expect "plan of bare hosts has changes and no cluster to apply to" 4 ctl plan
expect "a dry run of init changes nothing" 0 ctl init --dry-run
check "no file of clusterctl is on a host after the dry run" on m1 test ! -e /etc/kubernetes

# A firewall between two hosts is found before anything is changed, whether it drops or rejects packets.
on m1 iptables -I INPUT -s "$SUBNET.21" -p tcp --dport 6443 -j DROP
on w1 iptables -I INPUT -s "$SUBNET.12" -p tcp --dport 10250 -j REJECT
expect "init is refused while ports between hosts are blocked" 4 tried init
check "it names the hosts and the port that is dropped" output_has 'm1: w1 cannot connect to its port 6443, which the API server needs (no answer within 5 s)'
check "it names the hosts and the port that is rejected" output_has 'w1: m2 cannot connect to its port 10250, which the kubelet needs (refused)'
check "it names the rule that blocks the port" output_has 'INPUT -s .* --dport 6443 -j DROP'
check "it names the rule that opens the port" output_has "iptables -I INPUT -s $SUBNET.21 -p tcp --dport 6443 -j ACCEPT"
check "nothing was changed" on m1 test ! -e /etc/kubernetes -a ! -e /var/lib/clusterctl
check "nothing listens any more" on m1 sh -c '! ss -Hltn "sport = :6443" | grep .'
on m1 iptables -D INPUT -s "$SUBNET.21" -p tcp --dport 6443 -j DROP
on w1 iptables -D INPUT -s "$SUBNET.12" -p tcp --dport 10250 -j REJECT

start=$(millis)
check "init" ctl init
say "init of 3 masters, 2 workers and a balancer from bare hosts: $(($(millis) - start)) ms"
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "five nodes are Ready" nodes_ready 5
for m in "${MASTERS[@]}"; do
    check "$m sees three voting members" test "$(members "$m")" = "m1 m2 m3"
done
check "status reports a healthy cluster" ctl status
check "status as JSON" sh -c "ctl status --output json | python3 -c 'import json,sys; json.load(sys.stdin)'"

check "status --pods shows the pods by node" wait_until 60 output_has '^m1 .*kube-proxy-[a-z0-9]* *1/1 *Running' ctl status --pods
kubectl create deployment web --image="$AGNHOST" --replicas=2 -- /agnhost netexec >/dev/null
kubectl expose deployment web --port 80 --target-port 8080 >/dev/null
on_two_nodes() { [ "$(kubectl get pods -l app=web -o jsonpath='{range .items[?(@.status.phase=="Running")]}{.spec.nodeName}{"\n"}{end}' | sort -u | wc -l)" = 2 ]; }
check "two pods on two workers" wait_until 60 on_two_nodes
mapfile -t pods < <(kubectl get pods -l app=web -o jsonpath='{range .items[*]}{.metadata.name} {.status.podIP}{"\n"}{end}')
for from in "${pods[@]}"; do
    for to in "${pods[@]}"; do
        check "pod ${from%% *} reaches ${to##* }" wait_until 20 kubectl exec "${from%% *}" -- /agnhost connect "${to##* }:8080" --timeout=2s
    done
    service=$(kubectl get service web -o jsonpath='{.spec.clusterIP}')
    check "pod ${from%% *} reaches the Service" wait_until 20 kubectl exec "${from%% *}" -- /agnhost connect "$service:80" --timeout=2s
    check "pod ${from%% *} reaches the API's Service" wait_until 20 kubectl exec "${from%% *}" -- /agnhost connect "10.96.0.1:443" --timeout=2s
done
if [ -n "$COREDNS_TAG" ]; then
    available() { [ "$(kubectl -n kube-system get deployment coredns -o jsonpath='{.status.availableReplicas}')" = 2 ]; }
    check "two replicas of CoreDNS are available" available
    for from in "${pods[@]}"; do
        check "pod ${from%% *} looks up the API's Service by name" wait_until 20 kubectl exec "${from%% *}" -- nslookup kubernetes.default.svc.cluster.local
    done
fi
check "no bootstrap token is left" test -z "$(kubectl -n kube-system get secrets --field-selector type=bootstrap.kubernetes.io/token -o name)"
check "no CA key is on a worker" sh -c "! on w1 find / -xdev -name 'ca.key' | grep ."
finish
