#!/bin/bash
# Nodes are taken out of service and put back: drains that wait for budgets or give up, and work and reboots between drain and uncordon.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
needs_cluster
mark='{.spec.unschedulable}/{.metadata.annotations.clusterctl/cordoned}'
state() { kubectl get node "$1" -o jsonpath="$mark"; }
# is NODE UNSCHEDULABLE/MARK: succeeds if the node has these values of spec.unschedulable and of the annotation clusterctl/cordoned; empty means unset
is() { [ "$(state "$1")" = "$2" ]; }
on_node() { kubectl get pods -l "app=$1" --field-selector "spec.nodeName=$2,status.phase=Running" --no-headers 2>/dev/null | wc -l; }
web_on() { [ "$(on_node web "$1")" = "$2" ]; }
all_ready() { nodes_ready "$(kubectl get nodes --no-headers | wc -l)"; }
locked() { ! on "$1" flock -n /var/lib/clusterctl/lock.flock true; }
# powered HOST: waits in the background until the container of this host has stopped, and then starts it again, as a real machine would start again by
# itself during a reboot
powered() { (wait_until 120 sh -c "[ \"\$(docker inspect -f '{{.State.Running}}' $NET-$1)\" = false ]" && lab start "$1") >/dev/null 2>&1 & }
refused() { out=$(ctl "$@" 2>&1); local status=$?; [ $status = 1 ] || { fail "$1 $2: exit $status, not 1"; said "$out"; }; }

check "the cluster has no differences" ctl plan
expect "a dry run changes nothing" 0 ctl drain w1 w2 --dry-run
check "cordon" ctl cordon w2
check "a cordoned node has no annotation of clusterctl" is w2 true/
expect "another cordon changes nothing" 0 ctl cordon w2
kubectl create deployment web --image="$AGNHOST" --replicas=2 -- /agnhost netexec >/dev/null
check "both pods are on w1" wait_until 60 web_on w1 2
check "uncordon" ctl uncordon w2
check "w2 takes pods again" is w2 /
kubectl create pdb web --selector=app=web --min-available=2 >/dev/null
kubectl create pdb unrelated --selector=app=unrelated --min-available=1 >/dev/null
expects_two() { [ "$(kubectl get pdb web -o jsonpath='{.status.expectedPods}')" = 2 ]; }
wait_until 20 expects_two

refused drain w1 --timeout 6s
check "a drain that is blocked names the budget with its numbers" grep -q 'budget default/web allows 0: of 2 pods 2 are healthy, 2 must be' <<<"$out"
check "it names each pod" test "$(grep -o 'default/web-[a-z0-9-]*' <<<"$out" | sort -u | wc -l)" = 2
check "it does not name a budget that is not affected" sh -c '! grep -q unrelated' <<<"$out"
check "it is announced" grep -q 'warning: disruption budget default/web: minAvailable 2: of 2 pods 2 must be healthy, so none may ever go' <<<"$out"
check "the node takes pods again" is w1 /
check "no pod was evicted" web_on w1 2
kubectl cordon w1 >/dev/null
refused drain w1 --timeout 3s
check "a cordon of somebody else is kept" is w1 true/
kubectl uncordon w1 >/dev/null

(sleep 8; kubectl scale deployment web --replicas=3) >/dev/null 2>&1 &
start=$(millis)
check "a drain continues when a budget allows it" ctl drain w1 --timeout 3m
say "drain with a budget that allowed it after 8 s: $(($(millis) - start)) ms"
check "the pods have moved" web_on w1 0
check "the node stays cordoned, without an annotation of clusterctl" is w1 true/
check "uncordon after it" ctl uncordon w1

check "the pods are on w2" wait_until 60 web_on w2 3
check "maintenance drains and runs" ctl maintenance w2 -- touch /maintained
check "the command ran as root on the host" on w2 test -O /maintained
check "the pods have moved away" web_on w2 0
check "the node is back in service" is w2 /
refused maintenance w2 -- sh -c 'echo why it failed; exit 75'
check "a command that fails is shown with its output" grep -q 'why it failed' <<<"$out"
check "its node stays cordoned, with an annotation of clusterctl" is w2 true/drain
check "the message names the command that uncordons the node" grep -q 'clusterctl uncordon w2' <<<"$out"
check "the next maintenance that succeeds uncordons the node" ctl maintenance w2 -- true
check "the node is in service" is w2 /
expect "maintenance without anything to do is a usage error" 2 ctl maintenance w2

kubectl run naked --image="$AGNHOST" --overrides='{"spec":{"nodeName":"w2"}}' --command -- /agnhost netexec >/dev/null
wait_until 30 kubectl wait --for=condition=Ready pod/naked --timeout=1s
start=$(millis)
refused drain w2
check "a pod that no controller would recreate is named" grep -q 'default/naked' <<<"$out"
check "the drain does not wait for a pod that can never be evicted" test $(($(millis) - start)) -lt 20000
check "the pod is deleted with --force" ctl drain w2 --force --grace-period 1
check "w2 is cordoned" is w2 true/
check "w2 is uncordoned" ctl uncordon w2

powered w2
start=$(millis)
ctl maintenance w2 --reboot >"$WORK/reboot.out" 2>&1 & run=$!
check "the host goes down" wait_until 90 grep -q 'w2: reboot' "$WORK/reboot.out"
check "its lock is held again after the reboot" wait_until 90 sh -c "grep -q 'see it up again \.\.\. [0-9]' '$WORK/reboot.out' && ! on w2 flock -n /var/lib/clusterctl/lock.flock true"
wait $run; status=$?
check "a worker reboots during its maintenance" test $status = 0
[ $status = 0 ] || tail -n 20 "$WORK/reboot.out"
say "maintenance with a reboot of w2: $(($(millis) - start)) ms"
check "all nodes are Ready" wait_until 30 all_ready
check "w2 is in service" is w2 /
check "the lock is free after the run" wait_until 10 on w2 flock -n /var/lib/clusterctl/lock.flock true

if kubectl get node m2 >/dev/null 2>&1; then
    powered m2
    check "a control plane reboots" ctl maintenance m2 --reboot --delete-emptydir-data
    check "its etcd member is a voter" test "$(members m2)" = "m1 m2 m3"
    check "m2 is in service" is m2 /
fi
kubectl delete deployment web >/dev/null; kubectl delete pdb web unrelated >/dev/null
check "nothing differs afterwards" wait_until 60 ctl plan
finish
