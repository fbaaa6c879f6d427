#!/bin/bash
# Every kind of load balancer with real API servers: nginx, a virtual address that moves, a change of kind, one balancer on each worker, and the
# operator's own balancer.
# Needs: nothing; makes its own prepared hosts, because it does not test preparation. Leaves: hosts with their software and no cluster.
. "$(dirname "$0")/lib.sh"
vip=$SUBNET.30
# An API server answers requests for /version without etcd, because this scenario is to measure load balancers and not how soon etcd members elect a
# leader.
url=https://$vip:6443/version
ask() { [ "$(curl -sk --connect-timeout 0.3 -m 1.5 -o /dev/null -w '%{http_code}' "$1")" = 200 ]; }
# holder: prints the balancers that have the virtual address now
holder() { for h in lb1 lb2; do on $h ip -o addr show 2>/dev/null | grep -qwF "$vip" && echo $h; done | xargs; }
holds() { [ "$(holder)" = "$1" ]; }
# pound FILE: sends requests to the virtual address, one after another, until it is killed. FILE gets a line `START END OK` per request: START and END
# are milliseconds since 1970, and OK is 1 for an answer and 0 for a failure.
pound() { while :; do s=$(millis); ask $url && ok=1 || ok=0; echo "$s $(millis) $ok" >>"$1"; sleep 0.02; done; }
# pounding COMMAND...: sends requests while the command runs. Sets `asked` and `failed` to the numbers of all and of failed requests, and `gap` to the
# milliseconds from the start of the first request that failed to the first answer after the last failure: 0 without a failure, 999999 without such an
# answer. So the time that, for example, Docker needs to kill a container is not included in `gap`.
pounding() {
    local log=$WORK/pound pid; : >"$log"
    pound "$log" & pid=$!
    sleep 0.3
    "$@"
    kill $pid; wait $pid 2>/dev/null
    read -r asked failed gap < <(awk '{n++} !$3 {if (!bad++) first = $1; back = 0} $3 && !back && bad {back = $2} END {print n, bad + 0, bad ? (back ? back - first : 999999) : 0}' "$log")
}
die_and_wait() { lab kill "$1" >/dev/null 2>&1; sleep 4; }
# founded WHAT: makes a cluster from the present inventory, on hosts that have their software, and checks it; WHAT begins the titles of the checks
founded() {
    check "$1: init" ctl init
    expect "$1: nothing is left to do" 0 ctl plan
    ctl kubeconfig --yes --output-file "$KUBECONFIG" >/dev/null || fail "$1: kubeconfig"
    check "$1: five nodes are Ready" wait_until 60 nodes_ready 5
}

lab down >/dev/null 2>&1
check "seven prepared hosts start, two of them balancers" lab up --lbs 2 --prepared

lab_inventory ha-nginx-keepalived.yaml
founded "nginx and a VIP"
# The load balancer that is ready first takes the virtual address and keeps it, so either of the two may have it.
one_holds() { [[ $(holder) =~ ^lb[12]$ ]]; }
check "one balancer holds the address" wait_until 10 one_holds
first=$(holder); [ "$first" = lb2 ] && second=lb1 || second=lb2
check "status reports a healthy cluster" ctl status
check "keepalived does not run its check as root" on lb1 sh -c "grep -q '^ *script_user nobody' /etc/keepalived/keepalived.conf"
check "nginx's example site was never started" on lb1 sh -c '! ss -Hltn "sport = :80" | grep -q . && ! [ -s /var/log/nginx/access.log ]'

pounding die_and_wait m1
say "a master's death behind nginx: $gap ms from the first failure to the first answer after the last one, $failed of $asked requests failed"
# nginx tries another API server if one does not accept a connection within a second.
check "nginx serves again within 3 s after a master has died" test "$gap" -lt 3000
check "a dead backend does not move the address" holds "$first"
lab start m1 >/dev/null 2>&1
# nginx would also use an API server that listens but is not ready. So this waits until m1 is ready, before the next measurement.
check "m1 serves again" wait_until 90 on m1 curl -sfk https://127.0.0.1:6443/readyz

pounding die_and_wait "$first"
say "VIP failover: $gap ms from the first failure to the next answer, $failed of $asked requests failed"
check "the address moves within 3 s" test "$failed" -gt 0 -a "$gap" -lt 3000
check "the other balancer holds it" holds "$second"
lab start "$first" >/dev/null 2>&1
check "the dead balancer recovers by itself" wait_until 30 on "$first" systemctl is-active -q nginx keepalived
sleep 2.5 # longer than keepalived would need to take the address back
check "it does not take the address back" holds "$second"
stop_nginx() { on "$second" systemctl stop nginx; sleep 4; }
pounding stop_nginx
say "a stopped nginx: $gap ms to the next answer, $failed of $asked requests failed"
check "the address moves within 3 s" test "$gap" -lt 3000
check "a balancer that does not serve loses the address" holds "$first"
expect "plan shows the stopped balancer" 6 ctl plan
check "apply corrects it" ctl apply
check "the address does not move for that" holds "$first"

sed -i 's/^  kind: nginx/  kind: haproxy/' "$CLUSTERCTL_INVENTORY"
pounding ctl apply >/dev/null 2>&1
say "from nginx to haproxy, one balancer after the other: $failed of $asked requests failed"
expect "haproxy in place of nginx: nothing is left" 0 ctl plan
for h in lb1 lb2; do
    check "haproxy alone serves on $h" on $h sh -c 'systemctl is-active -q haproxy && ! systemctl is-active -q nginx && ! systemctl is-enabled -q nginx'
done

# The load balancer lb2 has failed for good: a new machine joins in its place, and nothing else changes.
lab destroy lb2 >/dev/null 2>&1
lab add lb2 "$SUBNET.32" >/dev/null 2>&1
check "a new balancer joins in place of a dead one" ctl join
check "the new balancer serves" on lb2 systemctl is-active -q haproxy keepalived
expect "nothing is left to do after the join" 0 ctl plan

# A second inventory has the kind `external` and no balancer hosts, so clusterctl uses the same load balancers as if the operator managed them.
external=$WORK/external.yaml
sed -e 's/^  kind: haproxy.*/  kind: external/' -e '/^  vip:/d' -e '/name: lb[12]$/,/roles:/d' "$CLUSTERCTL_INVENTORY" >"$external"
expect "an endpoint of the operator that leads to the API is accepted" 0 ctl -i "$external" plan
for h in lb1 lb2; do on $h systemctl stop haproxy; done
out=$(ctl -i "$external" plan 2>&1); status=$?
check "an endpoint that leads nowhere is shown for each node (exit 6)" test "$status" = 6 -a "$(grep -c "wait for the API at the endpoint $vip:6443" <<<"$out")" = 5
for program in haproxy nginx; do ctl -i "$external" balancer --format $program >"$WORK/balancer.$program"; done
check "haproxy accepts the configuration that is printed for it" on lb1 sh -c 'cat >/tmp/x && haproxy -c -f /tmp/x' <"$WORK/balancer.haproxy"
check "nginx accepts the configuration that is printed for it" on lb1 sh -c 'cat >/tmp/x && nginx -t -c /tmp/x' <"$WORK/balancer.nginx"
check "reset of both kinds" ctl reset --yes --keep-software
for h in lb1 lb2; do
    check "$h: no balancer and no file of it is left" on $h sh -c '! pgrep "haproxy|nginx|keepalived" && ! systemctl is-enabled haproxy nginx keepalived | grep -qx enabled &&
        ! ls /etc/haproxy/haproxy.cfg /etc/nginx/nginx.conf /etc/keepalived/keepalived.conf /etc/keepalived/balancer-listens 2>/dev/null | grep . && ! ip -o addr | grep -qwF '"$vip"
done

lab_inventory ha-haproxy.yaml
local=$WORK/local.yaml
sed -e 's/^  kind: haproxy.*/  kind: local/' -e '/^  endpoint:/d' -e '/name: lb1$/,/roles:/d' "$CLUSTERCTL_INVENTORY" >"$local"
haproxy_inventory=$CLUSTERCTL_INVENTORY
export CLUSTERCTL_INVENTORY=$local
founded "local"
check "the operator's kubeconfig names a master" grep -q "server: https://$SUBNET.11:6443" "$KUBECONFIG"
check "status reports a healthy cluster" ctl status
check "a worker's kubelet uses the balancer of its own host" on w1 grep -q 'server: https://127.0.0.1:6443' /etc/kubernetes/kubelet.conf
check "its balancer serves that host only" sh -c "! curl -sk -m 2 https://$SUBNET.21:6443/readyz"
lab kill m1 >/dev/null 2>&1
check "kubeconfig is read from another master" ctl kubeconfig --yes --output-file "$KUBECONFIG"
renewed() { kubectl --request-timeout 3s -n kube-node-lease get lease "$1" -o jsonpath='{.spec.renewTime}'; }
since=$(date -u +%Y-%m-%dT%H:%M:%S)
both_renew() { [[ $(renewed w1) > $since && $(renewed w2) > $since ]]; }
check "both workers still report without m1" wait_until 30 both_renew
check "twenty requests from a worker to its own address are answered" on w2 sh -c 'for i in $(seq 20); do curl -sfk -m 3 -o /dev/null https://127.0.0.1:6443/readyz || exit 1; done'
ready_workers() { [ "$(kubectl --request-timeout 3s get nodes w1 w2 --no-headers | grep -cw Ready)" = 2 ]; }
check "both workers are Ready" ready_workers
lab start m1 >/dev/null 2>&1
check "m1 serves again" wait_until 90 on m1 curl -sfk https://127.0.0.1:6443/readyz
check "reset" ctl reset --yes --keep-software
check "no balancer is left on a worker" on w1 sh -c '! pgrep haproxy && ! ls /etc/haproxy/haproxy.cfg 2>/dev/null'

export CLUSTERCTL_INVENTORY=$haproxy_inventory
lab destroy lb2 >/dev/null 2>&1
finish
