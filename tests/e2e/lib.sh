# lib.sh: functions that all scenarios share: the program, the lab, the inventory, checks that count. Sourced, never run.
# shellcheck shell=bash
set -uo pipefail

E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$E2E/../.." && pwd)
LAB=${CLUSTERCTL_LAB_DIR:-$ROOT/target/lab}
NET=${CLUSTERCTL_LAB_NET:-clusterctl-lab}      # the Docker network; with another name and subnet, this machine can have a second lab
SUBNET=${CLUSTERCTL_LAB_SUBNET:-172.30.0}
KNOWN_HOSTS=$LAB/known_hosts
WORK=$LAB/e2e
if [ "$NET" != clusterctl-lab ]; then KNOWN_HOSTS=$LAB/known_hosts-$NET WORK=$LAB/e2e-$NET; fi
export CLUSTERCTL_INVENTORY=$WORK/inventory.yaml
export KUBECONFIG=$WORK/kubeconfig
MASTERS=(m1 m2 m3)
NODES=(m1 m2 m3 w1 w2)
HOSTS=(m1 m2 m3 w1 w2 lb1)
mkdir -p "$WORK"

# The commands `ctl`, `lab`, `on` and `kubectl` that scenarios use are executables on PATH and not shell functions, so that `sh -c`, `env` and
# `timeout` find them as well.
# program NAME: writes the script that it reads from stdin to an executable of this name in $WORK/bin, which is on PATH
program() { cat >"$WORK/bin/$1.new"; chmod 0755 "$WORK/bin/$1.new"; mv "$WORK/bin/$1.new" "$WORK/bin/$1"; }
# use_clusterctl PATH: makes the command `ctl`, by which scenarios call clusterctl, run the executable at PATH
use_clusterctl() { printf '#!/bin/sh\nexec "%s" "$@"\n' "$1" | program ctl; }
mkdir -p "$WORK/bin"
export PATH=$WORK/bin:$PATH
use_clusterctl "${CLUSTERCTL:-$ROOT/target/debug/clusterctl}"
printf '#!/bin/sh\nexec "%s/tests/lab/lab" "$@"\n' "$ROOT" | program lab
# on HOST COMMAND...: runs a command as root on a lab host, without clusterctl
printf '#!/bin/sh\nhost=$1; shift\nexec docker exec -i "%s-$host" "$@"\n' "$NET" | program on

# `lab build` writes $LAB/release: shell variables with versions, image tags, the path of kubectl, and what differs between Kubernetes releases.
# tests/lab/release.sh sets and describes them.
[ -e "$LAB/release" ] || lab build || exit 1
. "$LAB/release"
ln -sfn "$KUBECTL" "$WORK/bin/kubectl"
AGNHOST=$SUBNET.2:5000/agnhost:$AGNHOST_TAG

# lab_inventory BASE: writes $CLUSTERCTL_INVENTORY: the file inventories/BASE with the lab's Kubernetes version and addresses, and the output of `lab
# inventory` appended
lab_inventory() {
    { sed "s|172\.30\.0\.|$SUBNET.|g" "$ROOT/inventories/$1" && lab inventory; } >"$CLUSTERCTL_INVENTORY"
    set_version "$VERSION"
}
# set_version VERSION, set_etcd_tag TAG: set the Kubernetes version, and the tag of the etcd image, in the inventory
set_version() { sed -i "s/^  version: .*/  version: $1/" "$CLUSTERCTL_INVENTORY"; }
set_etcd_tag() { sed -i "/^etcd:/,/^[a-z]/s/^  imageTag: .*/  imageTag: $1/" "$CLUSTERCTL_INVENTORY"; }
# without_pending_pods: if the lab has no image of CoreDNS, removes CoreDNS from the inventory and from an existing cluster, because its pods would
# never start and would delay every drain
without_pending_pods() {
    [ -z "$COREDNS_TAG" ] || return 0
    sed -i '/^  coreDns:/,$s/wait: false/enabled: false/' "$CLUSTERCTL_INVENTORY"
    ! kubectl --request-timeout 5s -n kube-system get deployment coredns >/dev/null 2>&1 || kubectl -n kube-system delete deployment coredns >/dev/null
}
# web_manifest: prints web.yaml with the lab's agnhost image and the PodDisruptionBudget API version of the lab's release
web_manifest() { sed "s|@AGNHOST@|$AGNHOST|; s|@PDB_API@|$PDB_API|" "$E2E/web.yaml"; }

# inventory_of HOST...: writes $CLUSTERCTL_INVENTORY: the inventory in the file $FULL, but only with these hosts
FULL=$WORK/full.yaml
inventory_of() {
    python3 - "$FULL" "$@" >"$CLUSTERCTL_INVENTORY" <<'PY'
import re, sys
text, keep = open(sys.argv[1]).read(), sys.argv[2:]
head, rest = text.split("\nhosts:\n")
entries, tail = re.findall(r"  - name: (\S+)\n((?:    .*\n)*)", rest), rest[rest.index("\nartifacts:") if "\nartifacts:" in rest else len(rest):]
print(head + "\nhosts:\n" + "".join(f"  - name: {n}\n{body}" for n, body in entries if n in keep) + tail)
PY
}

PASSED=0 FAILED=0
say()  { printf '%s %s\n' "$(date +%H:%M:%S)" "$*"; }
pass() { PASSED=$((PASSED + 1)); say "ok: $*"; }
# Each failure is also written to $WORK/failures. tests/all prints this file at its end, so failures are seen even if only the end of its output is
# kept.
fail() { FAILED=$((FAILED + 1)); say "FAILED: $*"; echo "$(basename "$0"): $*" >>"$WORK/failures"; }
# said TEXT: prints the last 30 lines of TEXT, the output of a command that failed, and adds them to $WORK/failures
said() { printf '%s\n' "$1" | tail -n 30 | sed 's/^/    | /' | tee -a "$WORK/failures"; }
# check WHAT COMMAND...: counts a success if the command succeeds; otherwise counts a failure and prints the output of the command
check() {
    local what=$1 out; shift
    if out=$("$@" 2>&1); then pass "$what"; else fail "$what"; said "$out"; fi
}
# expect WHAT STATUS COMMAND...: counts a success if the command exits with STATUS; otherwise counts a failure and prints the output of the command
expect() {
    local what=$1 want=$2 out got; shift 2
    out=$("$@" 2>&1); got=$?
    if [ "$got" = "$want" ]; then pass "$what"; else fail "$what: exit $got, not $want"; said "$out"; fi
}
# tried ARGUMENT...: runs clusterctl with these arguments and keeps its output for `output_has`
tried() { ctl "$@" >"$WORK/tried.log" 2>&1; }
# output_has TEXT [COMMAND...]: succeeds if the output of the command matches TEXT, a regular expression of grep; the exit status of the command does not
# matter. Without a command, the output of the last `tried` is searched.
output_has() {
    local want=$1; shift
    [ $# = 0 ] || "$@" >"$WORK/tried.log" 2>&1
    grep -q -- "$want" "$WORK/tried.log" || { tail -n 20 "$WORK/tried.log"; return 1; }
}
# output_has_not TEXT COMMAND...: succeeds if the command succeeds and its output does not match TEXT, a regular expression of grep
output_has_not() {
    local text=$1; shift
    if "$@" >"$WORK/tried.log" 2>&1 && ! grep -q -- "$text" "$WORK/tried.log"; then return 0; fi
    tail -n 20 "$WORK/tried.log"
    return 1
}
# wait_until SECONDS COMMAND...: repeats the command until it succeeds; if it has not succeeded after SECONDS, prints the output of the last attempt
# and fails
wait_until() {
    local end=$((SECONDS + $1)) out; shift
    until out=$("$@" 2>&1); do
        [ "$SECONDS" -lt "$end" ] || { printf '%s' "${out:+$out$'\n'}"; return 1; }
        sleep 0.2
    done
}
millis() { date +%s%3N; }
finish() { say "$(basename "$0"): $PASSED passed, $FAILED failed"; echo "$PASSED $FAILED" >>"$WORK/score"; [ "$FAILED" = 0 ]; }

# needs_cluster: makes sure that the 3+2 cluster exists: 3 control-plane hosts and 2 workers of the lab's release behind haproxy. An existing cluster
# is used if `clusterctl plan` is empty and all nodes are Ready; otherwise a new cluster is made on prepared hosts.
needs_cluster() {
    if grep -qs "^  version: $VERSION\$" "$CLUSTERCTL_INVENTORY" && grep -q '^  name: ha$' "$CLUSTERCTL_INVENTORY" &&
        ctl plan >/dev/null 2>&1 && ctl kubeconfig --yes --output-file "$KUBECONFIG" >/dev/null 2>&1 && nodes_ready 5; then
        return
    fi
    lab down >/dev/null 2>&1
    check "six prepared hosts start" lab up --prepared
    lab_inventory ha-haproxy.yaml
    local start; start=$(millis)
    check "a 3+2 cluster is made on them" ctl init
    say "init of 3 masters, 2 workers and a balancer from prepared hosts: $(($(millis) - start)) ms"
    check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
    check "five nodes are Ready" wait_until 60 nodes_ready 5
}

# web_cluster: makes sure that the 3+2 cluster exists, as needs_cluster does, and applies web.yaml to it; sets `url` to a URL of the Service in
# web.yaml
web_cluster() {
    needs_cluster
    without_pending_pods
    # Another scenario may have left a Deployment `web` whose container has another name. `kubectl apply` would add the container of web.yaml to that
    # Deployment, so that Deployment is deleted. Its pods may terminate late: if a container exits shortly before a kubelet of 1.21 is to stop it,
    # that kubelet reports a failure and tries again only a minute later.
    case $(kubectl get deployment web --ignore-not-found -o jsonpath='{.spec.template.spec.containers[*].name}') in
        ''|web) ;;
        *) kubectl delete deployment web >/dev/null; check "no pod of an earlier Deployment is left" wait_until 120 web_pods 0 ;;
    esac
    web_manifest | kubectl apply -f - >/dev/null
    check "the Deployment is available on both workers" kubectl rollout status deployment web --timeout 60s
    # A pod of an earlier template that is still terminating would be counted for the PodDisruptionBudget, so this waits until it is gone.
    check "only its two pods exist" wait_until 120 web_pods 2
    url=http://$(kubectl get service web -o jsonpath='{.spec.clusterIP}')/hostname
    check "its Service answers on a master" wait_until 20 on m1 curl -sf -m 2 -o /dev/null "$url"
}

web_pods() { [ "$(kubectl get pods -l app=web --no-headers 2>/dev/null | wc -l)" = "$1" ]; }

# can_write NAME: creates a ConfigMap; also succeeds if it exists already, because a request that was answered with an error, for example during an
# election of etcd, may have created it
can_write() { kubectl --request-timeout 5s create configmap "$1" || kubectl --request-timeout 5s get configmap "$1"; }
# can_read NAME: reads this ConfigMap twenty times in a row; succeeds if every read succeeds
can_read() { local _; for _ in $(seq 20); do kubectl --request-timeout 5s get configmap "$1" || return 1; done; }

nodes_ready() { [ "$(kubectl get nodes --no-headers 2>/dev/null | grep -cw Ready)" = "$1" ]; }
# etcdctl_on HOST ARGUMENT...: runs etcdctl on this host; it connects to the etcd member of the same host
etcdctl_on() {
    local h=$1 p=/etc/kubernetes/pki/etcd; shift
    on "$h" etcdctl --endpoints https://127.0.0.1:2379 --cacert $p/ca.crt --cert $p/healthcheck-client.crt --key $p/healthcheck-client.key "$@"
}
# members HOST: prints the names of the voting etcd members, as that host's member reports them
members() { etcdctl_on "$1" member list 2>/dev/null | grep 'started.*false$' | cut -d, -f3 | sort | xargs; }

at_version() { [ "$(kubectl get nodes --no-headers 2>/dev/null | awk -v v="$1" '$2 == "Ready" && $5 == v' | wc -l)" = "$2" ]; }
. "$E2E/probes.sh"
