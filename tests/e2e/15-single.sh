#!/bin/bash
# Clusters whose control planes are also workers: one node of Debian 13 is made, changed, upgraded, corrected and reset with the commands of
# docs/quickstart.md; then three nodes, two of Debian 13 and one of Debian 12, are made and reset.
# Needs: nothing; makes its own hosts. Leaves: no hosts.
. "$(dirname "$0")/lib.sh"
lab down >/dev/null 2>&1
kinds=${CLUSTERCTL_LAB_HOSTS:-debian13}
check "one plain host starts" lab up --masters 1 --workers 0 --lbs 0 --hosts "$kinds"
check "the host has no failed unit" wait_until 30 on m1 sh -c '[ "$(systemctl is-system-running)" = running ]'

# COMMANDS has the lines of the `sh` blocks in docs/quickstart.md, without the text after `#`. `follow` runs them in $FOLDER, unchanged except that
# $NEXT replaces vX.Y.Z.
mapfile -t COMMANDS < <(sed -n '/^```sh$/,/^```$/{/^```/d; s/ *#.*//; p}' "$ROOT/docs/quickstart.md")
FOLDER=$WORK/quickstart
followed=0
printf '#!/bin/sh\nunset CLUSTERCTL_INVENTORY KUBECONFIG\nexec ctl "$@"\n' | program clusterctl
rm -rf "$FOLDER"
mkdir -p "$FOLDER"
# follow STATUS COMMAND [ANSWER]: checks that COMMAND is the next command in docs/quickstart.md, runs it, and checks that it exits with STATUS. With
# an ANSWER, the command runs on a terminal from which it reads this line.
follow() {
    local status=$1 command=$2 line=${COMMANDS[followed]:-}
    followed=$((followed + 1))
    if [ "$line" != "$command" ]; then fail "the document says \`$line\` where \`$command\` should be"; return; fi
    line=${line//vX.Y.Z/$NEXT}
    if [ $# = 3 ]; then
        expect "quick start: $command" "$status" sh -c "cd '$FOLDER' && echo '$3' | script -qec '$line' /dev/null"
    else
        expect "quick start: $command" "$status" sh -c "cd '$FOLDER' && $line"
    fi
}
follow 0 "clusterctl inventory new --profile education --output-file inventory.yaml"
# Edits the inventory as docs/quickstart.md asks its reader to do, and appends the settings that the lab needs.
export CLUSTERCTL_INVENTORY=$FOLDER/inventory.yaml
sed -i -e '/^ssh:/,/^$/d' -e 's/name: node1 .*/name: m1/' -e "s/address: .*/address: $SUBNET.11/" "$CLUSTERCTL_INVENTORY"
lab inventory >>"$CLUSTERCTL_INVENTORY"
set_version "$VERSION"
without_pending_pods
follow 0 "clusterctl validate"
follow 0 "clusterctl init --dry-run"
start=$(millis)
follow 0 "clusterctl init"
say "init of one node: $(($(millis) - start)) ms"
expect "one node: plan is empty" 0 ctl plan
check "one node: apply has nothing to do" sh -c "ctl apply 2>&1 | tee /dev/stderr | grep -q 'nothing to do'"
follow 0 "clusterctl status"
follow 0 "clusterctl kubeconfig --output-file kubeconfig"
follow 0 "kubectl --kubeconfig kubeconfig get nodes"
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "the node is Ready" nodes_ready 1
check "one voting member" test "$(members m1)" = m1
kubectl create deployment web --image="$AGNHOST" -- /agnhost netexec >/dev/null
check "the node runs ordinary pods" kubectl rollout status deployment web --timeout 60s
kubectl delete deployment web >/dev/null
printf 'controlPlane:\n  apiServer:\n    extraArgs: { event-ttl: 2h0m0s }\n' >>"$CLUSTERCTL_INVENTORY"
follow 6 "clusterctl plan"
follow 0 "clusterctl apply"
check "the API server has the flag" on m1 grep -q event-ttl=2h0m0s /etc/kubernetes/manifests/kube-apiserver.yaml
on m1 sh -c 'rm /etc/cni/net.d/10-clusterctl.conflist; echo "maxPods: 7" >>/var/lib/kubelet/config.yaml; sysctl -qw net.ipv4.ip_forward=0'
expect "one node: plan shows what was changed by hand" 6 ctl plan
check "one node: apply corrects it" ctl apply
expect "one node: plan is empty after it" 0 ctl plan
start=$(millis)
follow 0 "clusterctl upgrade plan"
check "one node: the control plane is upgraded to $NEXT" ctl upgrade --version "$NEXT" --pause-after control-plane
on m1 rm /etc/kubernetes/manifests/kube-apiserver.yaml
check "its API server has ended" wait_until 60 on m1 sh -c '! pgrep -x kube-apiserver'
follow 0 "clusterctl upgrade --version vX.Y.Z"      # it restores the deleted manifest of the API server and continues the upgrade
say "upgrade of one node: $(($(millis) - start)) ms"
check "the node is Ready at $NEXT" at_version "$NEXT" 1
expect "one node: plan is empty after the upgrade" 0 ctl plan
expect "one node: the next upgrade changes nothing" 0 ctl upgrade --version "$NEXT"
# reset asks only on a terminal, so `script` runs it on one.
expect "one node: reset asks, and does not accept a letter" 130 sh -c "echo y | script -qec 'ctl reset' /dev/null >'$WORK/tried.log'"
check "reset asks for the name of the cluster" output_has 'Type `[a-z]*` to confirm'
follow 0 "clusterctl reset" education
check "no command of the document is left" test $followed = ${#COMMANDS[@]}
export CLUSTERCTL_INVENTORY=$WORK/inventory.yaml
check "no file of the cluster is left on the host" on m1 test ! -e /etc/kubernetes -a ! -e /var/lib/etcd/member
check "no mount is left" on m1 sh -c '! grep -E " (/var/lib/kubelet/|/run/netns/)" /proc/mounts'
check "no iptables chain is left" on m1 sh -c '! iptables-save | grep -iE "KUBE-|CNI-|clusterctl"'
check "no process is left" on m1 sh -c '! pgrep -x "kubelet|etcd|kube-apiserver|kube-proxy"'

check "two more hosts start" lab up --masters 3 --workers 0 --lbs 0 --hosts "${CLUSTERCTL_LAB_HOSTS:-debian13,debian12}"
lab_inventory ha-haproxy.yaml
without_pending_pods
sed -i -e 's/^  kind: haproxy.*/  kind: local/' -e '/^  endpoint:/d' -e '/name: \(w[12]\|lb1\)$/,/roles:/d' \
    -e 's/roles: \[control-plane\]/roles: [control-plane, worker]/' "$CLUSTERCTL_INVENTORY"
# The inventory names this file under `addons.manifests`. It has a CustomResourceDefinition, an object of the kind that it defines, and a Secret in
# plain text.
cat >"$WORK/extra.yaml" <<-'END'
	apiVersion: apiextensions.k8s.io/v1
	kind: CustomResourceDefinition
	metadata: {name: lamps.lab.example.org}
	spec:
	  group: lab.example.org
	  names: {kind: Lamp, plural: lamps}
	  scope: Cluster
	  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
	---
	{apiVersion: lab.example.org/v1, kind: Lamp, metadata: {name: hall}, spec: {lit: true}}
	---
	{apiVersion: v1, kind: Secret, metadata: {name: door, namespace: default}, stringData: {code: swordfish}}
END
sed -i 's/^addons:/&\n  manifests: [extra.yaml]/' "$CLUSTERCTL_INVENTORY"
start=$(millis)
check "three nodes: init" ctl init
say "init of three nodes that are control planes and workers: $(($(millis) - start)) ms"
expect "three nodes: plan is empty" 0 ctl plan
check "three nodes: apply has nothing to do" sh -c "ctl apply 2>&1 | tee /dev/stderr | grep -q 'nothing to do'"
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "three nodes are Ready" nodes_ready 3
check "the object of the new kind exists" test "$(kubectl get lamp hall -o jsonpath='{.spec.lit}')" = true
check "the Secret exists" test "$(kubectl get secret door -o jsonpath='{.data.code}' | base64 -d)" = swordfish
sed -i 's/swordfish/haddock/' "$WORK/extra.yaml"
expect "a changed Secret is in the plan" 6 tried plan
check "the values of the Secret are not in the plan" sh -c "! grep -qE 'swordfish|haddock|c3dvcmRmaXNo|aGFkZG9jaw' '$WORK/tried.log'"
check "the changed Secret is applied" ctl apply
check "the Secret has its new value" test "$(kubectl get secret door -o jsonpath='{.data.code}' | base64 -d)" = haddock
check "three voting members" test "$(members m2)" = "m1 m2 m3"
check "three nodes: reset" ctl reset --yes
for m in "${MASTERS[@]}"; do
    check "$m: no cluster and no software is left" on "$m" sh -c '! ls -d /etc/kubernetes /usr/local/bin/kube* /var/lib/etcd/member 2>/dev/null | grep .'
done
lab down
finish
