#!/bin/bash
# A disruption budget never allows an eviction: the drain names the budget and its pods, gives up in time, and undoes its own cordon and no other.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
CORDONED=''
web_cluster
on_node() { kubectl get pods -l app=web --field-selector "spec.nodeName=$1,status.phase=Running" --no-headers 2>/dev/null | wc -l; }
fault 10 "a disruption budget blocks a drain for ever"
kubectl patch pdb web --type merge -p '{"spec":{"minAvailable":2}}' >/dev/null
node=$(kubectl get pods -l app=web -o jsonpath='{.items[0].spec.nodeName}')
pods=$(kubectl get pods -l app=web -o name | sort)
for verb in drain maintenance; do
    command=(); [ "$verb" = drain ] || command=(-- true)
    start=$SECONDS
    expect "$verb fails" 1 tried $verb "$node" --timeout 8s ${command[@]+"${command[@]}"}
    check "$verb: it fails in time ($((SECONDS - start)) s)" test $((SECONDS - start)) -lt 30
    check "I9: $verb: the message names the node, the step, the budget with its numbers and what to do" \
        explains "$node" 'budget default/web allows 0: of 2 pods 2 are healthy, 2 must be'
    check "$verb: the node takes pods again" test -z "$(kubectl get node "$node" -o jsonpath='{.spec.unschedulable}')"
    check "$verb: no pod was deleted or evicted" test "$pods" = "$(kubectl get pods -l app=web -o name | sort)"
done
kubectl cordon "$node" >/dev/null
expect "the drain of a node that somebody else has cordoned fails" 1 tried drain "$node" --timeout 3s
check "I6: the node stays cordoned" test "$(kubectl get node "$node" -o jsonpath='{.spec.unschedulable}')" = true
kubectl uncordon "$node" >/dev/null
web_manifest | kubectl apply -f - >/dev/null
allows() { [ "$(kubectl get pdb web -o jsonpath='{.status.disruptionsAllowed}')" = 1 ]; }
check "the budget allows one eviction again" wait_until 30 allows
expect "I5: the same command completes the work" 0 tried drain "$node"
check "the pods have left" test "$(on_node "$node")" = 0
# A drain reads the list of pods each time, as kubectl drain does, and never reports that there is nothing to do. So the node and the list of pods are
# compared before and after the drain.
state() { kubectl get node "$node" -o jsonpath='{.spec}{.metadata.annotations}'; kubectl get pods -A -o name | sort; }
was=$(state)
expect "I5: the next run succeeds" 0 tried drain "$node"
check "I5: the next run changes nothing" test "$was" = "$(state)"
expect "uncordon" 0 ctl uncordon "$node"
# The Deployment and its PodDisruptionBudget are deleted: the faults after this one cordon one worker, so the PodDisruptionBudget would block a drain
# of the other worker.
web_manifest | kubectl delete -f - >/dev/null
check "no pod of the Deployment is left" wait_until 120 web_pods 0
holds
finish
