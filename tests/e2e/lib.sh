# lib.sh: what every scenario shares: the program, the lab, the inventory, checks that count. Sourced, never run.
# shellcheck shell=bash
set -uo pipefail

E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$E2E/../.." && pwd)
LAB=${CLUSTERCTL_LAB_DIR:-$ROOT/target/lab}
NET=${CLUSTERCTL_LAB_NET:-clusterctl-lab}      # as in tests/lab/lib.sh: another name and subnet are a second lab
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

# What scenarios call are programs on PATH, not functions, so that `sh -c`, `env` and `timeout` find them too.
# program NAME: a shell script of this name, from stdin
program() { cat >"$WORK/bin/$1.new"; chmod 0755 "$WORK/bin/$1.new"; mv "$WORK/bin/$1.new" "$WORK/bin/$1"; }
# use_clusterctl PATH: the program under test, which scenarios call `ctl`
use_clusterctl() { printf '#!/bin/sh\nexec "%s" "$@"\n' "$1" | program ctl; }
mkdir -p "$WORK/bin"
export PATH=$WORK/bin:$PATH
use_clusterctl "${CLUSTERCTL:-$ROOT/target/debug/clusterctl}"
printf '#!/bin/sh\nexec "%s/tests/lab/lab" "$@"\n' "$ROOT" | program lab
# on HOST COMMAND...: as root on a lab host, not through clusterctl
printf '#!/bin/sh\nhost=$1; shift\nexec docker exec -i "%s-$host" "$@"\n' "$NET" | program on

# What the lab holds: versions, image tags, the path of kubectl, what differs by release. tests/lab/release.sh says what each variable is.
[ -e "$LAB/release" ] || lab build || exit 1
. "$LAB/release"
ln -sfn "$KUBECTL" "$WORK/bin/kubectl"
AGNHOST=$SUBNET.2:5000/agnhost:$AGNHOST_TAG

# lab_inventory BASE: an inventory of the repository for the lab's release and addresses, with the lab's part appended
lab_inventory() {
    { sed "s|172\.30\.0\.|$SUBNET.|g" "$ROOT/inventories/$1" && lab inventory; } >"$CLUSTERCTL_INVENTORY"
    set_version "$VERSION"
}
# set_version VERSION, set_etcd_tag TAG: changes the inventory
set_version() { sed -i "s/^  version: .*/  version: $1/" "$CLUSTERCTL_INVENTORY"; }
set_etcd_tag() { sed -i "/^etcd:/,/^[a-z]/s/^  imageTag: .*/  imageTag: $1/" "$CLUSTERCTL_INVENTORY"; }
# without_pending_pods: where the lab has no image of CoreDNS, its pods never start and would hold up every drain, so CoreDNS is left out,
# and deleted where a cluster has it
without_pending_pods() {
    [ -z "$COREDNS_TAG" ] || return 0
    sed -i '/^  coreDns:/,$s/wait: false/enabled: false/' "$CLUSTERCTL_INVENTORY"
    ! kubectl --request-timeout 5s -n kube-system get deployment coredns >/dev/null 2>&1 || kubectl -n kube-system delete deployment coredns >/dev/null
}
# web_manifest: web.yaml for this lab and its release
web_manifest() { sed "s|@AGNHOST@|$AGNHOST|; s|@PDB_API@|$PDB_API|" "$E2E/web.yaml"; }

# inventory_of HOST...: of the inventory in $FULL, these hosts alone
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
# What failed goes into a file as well: tests/all repeats it at its end, where a log that was cut short still shows it.
fail() { FAILED=$((FAILED + 1)); say "FAILED: $*"; echo "$(basename "$0"): $*" >>"$WORK/failures"; }
# said TEXT: what a failing command printed, its last lines
said() { printf '%s\n' "$1" | tail -n 30 | sed 's/^/    | /' | tee -a "$WORK/failures"; }
# check WHAT COMMAND...: counts, and shows what a failing command said
check() {
    local what=$1 out; shift
    if out=$("$@" 2>&1); then pass "$what"; else fail "$what"; said "$out"; fi
}
# expect WHAT STATUS COMMAND...: the exit status must be exactly this
expect() {
    local what=$1 want=$2 out got; shift 2
    out=$("$@" 2>&1); got=$?
    if [ "$got" = "$want" ]; then pass "$what"; else fail "$what: exit $got, not $want"; said "$out"; fi
}
# tried ARGUMENT...: clusterctl with these, its words kept for `says`
tried() { ctl "$@" >"$WORK/tried.log" 2>&1; }
# says TEXT [COMMAND...]: the command, or what was `tried` last, printed this, whatever its exit status
says() {
    local want=$1; shift
    [ $# = 0 ] || "$@" >"$WORK/tried.log" 2>&1
    grep -q -- "$want" "$WORK/tried.log" || { tail -n 20 "$WORK/tried.log"; return 1; }
}
# says_not TEXT COMMAND...: the command succeeds, and does not print this
says_not() {
    local text=$1; shift
    if "$@" >"$WORK/tried.log" 2>&1 && ! grep -q -- "$text" "$WORK/tried.log"; then return 0; fi
    tail -n 20 "$WORK/tried.log"
    return 1
}
# until_true SECONDS COMMAND...: polls a condition; of one that never came true, what it said last
until_true() {
    local end=$((SECONDS + $1)) out; shift
    until out=$("$@" 2>&1); do
        [ "$SECONDS" -lt "$end" ] || { printf '%s' "${out:+$out$'\n'}"; return 1; }
        sleep 0.2
    done
}
millis() { date +%s%3N; }
finish() { say "$(basename "$0"): $PASSED passed, $FAILED failed"; echo "$PASSED $FAILED" >>"$WORK/score"; [ "$FAILED" = 0 ]; }

# needs_cluster: the 3+2 cluster of the lab's release behind haproxy. The present one is taken where nothing of it is left to do; else a new one
# is founded on prepared hosts.
needs_cluster() {
    if grep -qs "^  version: $VERSION\$" "$CLUSTERCTL_INVENTORY" && grep -q '^  name: ha$' "$CLUSTERCTL_INVENTORY" &&
        ctl plan >/dev/null 2>&1 && ctl kubeconfig --yes --output-file "$KUBECONFIG" >/dev/null 2>&1 && nodes_ready 5; then
        return
    fi
    lab down >/dev/null 2>&1
    check "six prepared hosts" lab up --prepared
    lab_inventory ha-haproxy.yaml
    local start; start=$(millis)
    check "a 3+2 cluster on them" ctl init
    say "init of 3 masters, 2 workers and a balancer from prepared hosts: $(($(millis) - start)) ms"
    check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
    check "five nodes are Ready" until_true 60 nodes_ready 5
}

# web_cluster: the 3+2 cluster as by needs_cluster, with web.yaml behind a Service; `url` is what the Service answers at
web_cluster() {
    needs_cluster
    without_pending_pods
    # Another scenario's Deployment of this name would get the container beside its own. A kubelet of 1.21 that is told to end a container which
    # has just ended takes that for a failure, and tries again only a minute later.
    case $(kubectl get deployment web --ignore-not-found -o jsonpath='{.spec.template.spec.containers[*].name}') in
        ''|web) ;;
        *) kubectl delete deployment web >/dev/null; check "no pod of an earlier Deployment is left" until_true 120 web_pods 0 ;;
    esac
    web_manifest | kubectl apply -f - >/dev/null
    check "the Deployment is up on both workers" kubectl rollout status deployment web --timeout 60s
    # A pod of an earlier template that is still ending would count as one more for the budget.
    check "its two pods are all there are" until_true 120 web_pods 2
    url=http://$(kubectl get service web -o jsonpath='{.spec.clusterIP}')/hostname
    check "its Service answers on a master" until_true 20 on m1 curl -sf -m 2 -o /dev/null "$url"
}

web_pods() { [ "$(kubectl get pods -l app=web --no-headers 2>/dev/null | wc -l)" = "$1" ]; }

# stored NAME: a ConfigMap is written, or is there: one whose write was answered with an error, as while members elect a leader, may be
stored() { kubectl --request-timeout 5s create configmap "$1" || kubectl --request-timeout 5s get configmap "$1"; }
# reads NAME: twenty reads of a ConfigMap in a row succeed
reads() { local _; for _ in $(seq 20); do kubectl --request-timeout 5s get configmap "$1" || return 1; done; }

nodes_ready() { [ "$(kubectl get nodes --no-headers 2>/dev/null | grep -cw Ready)" = "$1" ]; }
# etcdctl_on HOST ARGUMENT...: with the member of that host
etcdctl_on() {
    local h=$1 p=/etc/kubernetes/pki/etcd; shift
    on "$h" etcdctl --endpoints https://127.0.0.1:2379 --cacert $p/ca.crt --cert $p/healthcheck-client.crt --key $p/healthcheck-client.key "$@"
}
# members HOST: names of the voting etcd members, as that host's member says
members() { etcdctl_on "$1" member list 2>/dev/null | grep 'started.*false$' | cut -d, -f3 | sort | xargs; }

at_version() { [ "$(kubectl get nodes --no-headers 2>/dev/null | awk -v v="$1" '$2 == "Ready" && $5 == v' | wc -l)" = "$2" ]; }
. "$E2E/probes.sh"
