#!/bin/bash
# What leaves the inventory leaves the cluster: a label, a taint, a mirror of a registry, and the objects of a manifest. What others have put beside it
# stays, and so do Namespaces, which may hold the objects of others.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
needs_cluster
cp "$CLUSTERCTL_INVENTORY" "$WORK/before-leaves.yaml"
cat >"$WORK/leaves.yaml" <<-'END'
	{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
	---
	{apiVersion: v1, kind: ConfigMap, metadata: {name: leaves, namespace: shop}, data: {a: b}}
	---
	{apiVersion: v1, kind: ConfigMap, metadata: {name: handed-over, namespace: shop}, data: {a: b}}
END
echo '{apiVersion: v1, kind: ConfigMap, metadata: {name: stays, namespace: default}, data: {a: b}}' >"$WORK/stays.yaml"
# with MANIFESTS [NODE]: writes the inventory with these manifests, and with these additional fields of w1 and a mirror if NODE is given
with() {
    sed -e "s/^addons:/&\n  manifests: [$1]/" "$WORK/before-leaves.yaml" >"$CLUSTERCTL_INVENTORY"
    [ -z "${2:-}" ] || sed -i -e "/name: w1/,/roles:/s/^    roles: .*/&\n    $2/" \
        -e 's|^  registryMirrors:|&\n    leaves.example: ["http://mirror.example"]|' "$CLUSTERCTL_INVENTORY"
}
label() { kubectl get node w1 -o jsonpath="{.metadata.labels.$1}"; }
taints() { kubectl get node w1 -o jsonpath='{range .spec.taints[*]}{.key}={.value}:{.effect}{"\n"}{end}' | sort | xargs; }
node_has() { [ "$(label zone)/$(label disk)/$(taints)" = "$1" ] || { echo "$(label zone)/$(label disk)/$(taints)"; return 1; }; }

kubectl label node w1 disk=ssd >/dev/null
kubectl taint node w1 theirs=x:PreferNoSchedule >/dev/null
on w1 sh -c 'mkdir -p /etc/containerd/certs.d/theirs.example && echo "server = \"https://theirs.example\"" >/etc/containerd/certs.d/theirs.example/hosts.toml'
with "stays.yaml, leaves.yaml" 'labels: { zone: north }\n    taints: [{ key: dedicated, value: web, effect: PreferNoSchedule }]'
check "apply brings a label, a taint, a mirror and objects" ctl apply
expect "nothing is left to do" 0 ctl plan
check "the node has them beside those of others" node_has "north/ssd/dedicated=web:PreferNoSchedule theirs=x:PreferNoSchedule"
check "the mirror is there" on w1 test -e /etc/containerd/certs.d/leaves.example/hosts.toml
check "the objects are there" kubectl -n shop get configmap leaves handed-over
kubectl -n shop create configmap theirs >/dev/null
# Another program takes an object over: it applies the object, and clusterctl is no longer one of its field managers.
kubectl -n shop get configmap handed-over -o json | python3 -c '
import json, sys
o = json.load(sys.stdin)
o["metadata"]["managedFields"] = [m for m in o["metadata"].get("managedFields", []) if m["manager"] != "clusterctl"] or [{}]
json.dump(o, sys.stdout)' | kubectl replace -f - >/dev/null

with stays.yaml
expect "plan shows what has left the inventory" 6 tried plan
for what in 'delete what has left the inventory: ConfigMap shop/leaves, ConfigMap shop/handed-over; keep Namespace shop' '-  zone: north' \
    'remove /etc/containerd/certs.d/leaves.example'; do
    check "plan shows: $what" output_has "$what"
done
check "apply takes it away" ctl apply
expect "nothing is left to do after it" 0 ctl plan
check "the node has what others gave it" node_has "/ssd/theirs=x:PreferNoSchedule"
check "the mirror is gone" on w1 test ! -e /etc/containerd/certs.d/leaves.example
check "the registry of others and the other mirror are there" on w1 sh -c 'cd /etc/containerd/certs.d && ls theirs.example/hosts.toml */hosts.toml | wc -l | grep -x 3'
check "the object has gone" sh -c '! kubectl -n shop get configmap leaves'
check "the object that was taken over stays, and so do those of others" kubectl -n shop get configmap handed-over theirs
check "the other manifest stays" kubectl get configmap stays

cp "$WORK/before-leaves.yaml" "$CLUSTERCTL_INVENTORY"
check "apply takes the last manifest away" ctl apply
check "its object has gone" sh -c '! kubectl get configmap stays'
expect "nothing is left to do at the end" 0 ctl plan

# Where the inventory does not set them, a Corefile and a number of pods of CoreDNS that somebody has changed in the cluster are kept.
core_dns() { kubectl -n kube-system get "$1" coredns -o jsonpath="$2"; }
if grep -q '^    wait: false' "$CLUSTERCTL_INVENTORY"; then
    kubectl -n kube-system get configmap coredns -o json | sed 's/cache 30/cache 31/' | kubectl replace -f - >/dev/null
    kubectl -n kube-system scale deployment coredns --replicas 3 >/dev/null
    expect "a changed Corefile and another number of pods are no difference" 0 tried plan
    check "the plan warns of the Corefile" output_has 'the Corefile of CoreDNS was changed in the cluster, and is kept'
    sed -i 's/^    wait: false.*/&\n    replicas: 2\n    corefile: ".:53 { whoami }"/' "$CLUSTERCTL_INVENTORY"
    expect "plan shows the Corefile and the number of pods of the inventory" 6 tried plan
    check "apply brings them" ctl apply
    check "the cluster has them" test "$(core_dns configmap '{.data.Corefile}')/$(core_dns deployment '{.spec.replicas}')" = ".:53 { whoami }/2"
    cp "$WORK/before-leaves.yaml" "$CLUSTERCTL_INVENTORY"
    kubectl -n kube-system delete configmap coredns >/dev/null
    check "apply brings a Corefile that is missing" ctl apply
    check "it is the default one" sh -c "kubectl -n kube-system get configmap coredns -o jsonpath='{.data.Corefile}' | grep 'cache 30'"
    expect "nothing is left to do with the default" 0 ctl plan
fi
kubectl delete namespace shop >/dev/null
kubectl label node w1 disk- >/dev/null
kubectl taint node w1 theirs- >/dev/null
on w1 rm -r /etc/containerd/certs.d/theirs.example
finish
