#!/bin/bash
# An upgrade without a failed request: 3+2 from the lab's release to the next, with another etcd, under 100 requests per second, a writer, and a
# Deployment with a budget behind a Service. Obstacles are found before anything is changed.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: the 3+2 cluster at the next release.
. "$(dirname "$0")/lib.sh"
web_cluster

# Obstacles to the upgrade are reported before anything is changed.
test_allowed() { [ "$(kubectl get pdb web -o jsonpath='{.status.disruptionsAllowed}')" = "$1" ]; }
check "upgrade plan names the version on offer" output_has "$NEXT ($OFFER)" ctl upgrade plan
expect "nothing blocks the upgrade" 0 ctl upgrade plan --version $NEXT
expect "a dry run changes nothing" 0 ctl upgrade --version $NEXT --dry-run
kubectl patch pdb web --type merge -p '{"spec":{"minAvailable":2}}' >/dev/null
check "the budget has been looked at" wait_until 30 test_allowed 0
expect "an impossible budget is found before anything is changed" 4 ctl upgrade plan --version $NEXT
check "the budget is named" output_has 'disruption-budget' ctl upgrade plan --version $NEXT
expect "the upgrade does not begin" 4 ctl upgrade --version $NEXT
kubectl patch pdb web --type merge -p '{"spec":{"minAvailable":1}}' >/dev/null
expect "a version that is not offered is found before anything is changed" 4 ctl upgrade --version "$NOT_OFFERED"
set_version "$NEXT"
expect "apply does not upgrade" 4 ctl apply
set_version "$VERSION"
set_etcd_tag "$ETCD_NEXT"
check "no node has changed" at_version "$VERSION" 5

# The upgrade runs while the probes send requests.
probes_begin "$url"
check "images and programs are prepared first" ctl upgrade --version $NEXT --pause-after artifacts
check "a further run has nothing to prepare" output_has_not 'bring \|place ' ctl upgrade --version $NEXT --pause-after artifacts --dry-run
check "no running container was changed" output_has_not "$NEXT" on m1 ctr -n k8s.io containers ls
start=$(millis)
check "upgrade to $NEXT, the control plane first" sh -c "ctl upgrade --version $NEXT --pause-after control-plane >'$WORK/upgrade.log' 2>&1"
say "control plane: $(($(millis) - start)) ms; $(grep '^control plane \.\.\.' "$WORK/upgrade.log")"
check "kubelets are not upgraded yet" at_version "$VERSION" 5
check "the inventory has the new version" grep -q "version: $NEXT" "$CLUSTERCTL_INVENTORY"
rm -f "$WORK/hook"
export HOOKED=$WORK/hook
check "the upgrade continues where it paused" sh -c "ctl upgrade --before-node 'test ! -e /run/after && touch /run/before' \
    --after-node 'test -e /run/before && touch /run/after' --after-node-here 'echo \"\$CLUSTERCTL_HOST\" >>\"\$HOOKED\"' >>'$WORK/upgrade.log' 2>&1"
say "upgrade of 3+2: $(($(millis) - start)) ms"
probes_end
unnoticed "upgrade" 2
check "five nodes are Ready at $NEXT" at_version $NEXT 5
for h in "${NODES[@]}"; do check "$h: commands ran on it before its drain and after its change" on $h test -e /run/before -a -e /run/after; done
check "the local command ran once for each node" test "$(sort "$WORK/hook" | xargs)" = "${NODES[*]}"
check "no node is cordoned" test -z "$(kubectl get nodes --no-headers | grep SchedulingDisabled)"
check "etcd runs its new image" output_has "etcd:$ETCD_NEXT" on m2 grep image: /etc/kubernetes/manifests/etcd.yaml
check "a snapshot of etcd exists, readable only by its owner" sh -c "test \"\$(stat -c %a '$WORK'/ha-etcd-$NEXT-*.db | sort -u)\" = 600"
expect "nothing is left to do" 0 ctl plan
expect "a further upgrade changes nothing" 0 ctl upgrade --version $NEXT
expect "a downgrade is refused" 4 ctl upgrade --version "$VERSION"
rm -f "$WORK"/ha-etcd-*.db
finish
