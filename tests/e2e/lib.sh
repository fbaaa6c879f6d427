# lib.sh: what every scenario shares: the program, the lab, the inventory, checks that count. Sourced, never run.
# shellcheck shell=bash
set -uo pipefail

E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$E2E/../.." && pwd)
LAB=${CLUSTERCTL_LAB_DIR:-$ROOT/target/lab}
NET=${CLUSTERCTL_LAB_NET:-clusterctl-lab}      # as in tests/lab/lib.sh: another name and subnet are a second lab
SUBNET=${CLUSTERCTL_LAB_SUBNET:-172.30.0}
CTL=${CLUSTERCTL:-$ROOT/target/debug/clusterctl}
WORK=$LAB/e2e
export CLUSTERCTL_INVENTORY=$WORK/inventory.yaml
export KUBECONFIG=$WORK/kubeconfig
MASTERS=(m1 m2 m3)
NODES=(m1 m2 m3 w1 w2)
HOSTS=(m1 m2 m3 w1 w2 lb1)
mkdir -p "$WORK"

lab() { "$ROOT/tests/lab/lab" "$@"; }
ctl() { "$CTL" "$@"; }
# on HOST COMMAND...: as root on a lab host, not through clusterctl
on() { local h=$1; shift; docker exec -i "$NET-$h" "$@"; }
kubectl() { "$LAB/site/release/v1.20.2/bin/linux/amd64/kubectl" "$@"; }

# lab_inventory BASE [REPLACEMENT]: an inventory of the repository with the lab's part appended
lab_inventory() {
    local known=known_hosts
    [ "$NET" = clusterctl-lab ] || known=known_hosts-$NET
    cat "$ROOT/inventories/$1" "$ROOT/tests/lab/site.yaml" | sed "s|@LAB@/known_hosts|$LAB/$known|; s|@LAB@|$LAB|g; s|172\.30\.0\.|$SUBNET.|g" >"$CLUSTERCTL_INVENTORY"
}

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
fail() { FAILED=$((FAILED + 1)); say "FAILED: $*"; }
# check WHAT COMMAND...: counts, and shows what a failing command said
check() {
    local what=$1 out; shift
    if out=$("$@" 2>&1); then pass "$what"; else fail "$what"; printf '%s\n' "$out" | tail -n 30 | sed 's/^/    | /'; fi
}
# expect WHAT STATUS COMMAND...: the exit status must be exactly this
expect() {
    local what=$1 want=$2 out got; shift 2
    out=$("$@" 2>&1); got=$?
    if [ "$got" = "$want" ]; then pass "$what"; else fail "$what: exit $got, not $want"; printf '%s\n' "$out" | tail -n 30 | sed 's/^/    | /'; fi
}
# until_true SECONDS COMMAND...: polls a condition
until_true() {
    local end=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do [ "$SECONDS" -lt "$end" ] || return 1; sleep 0.2; done
}
millis() { date +%s%3N; }
finish() { say "$(basename "$0"): $PASSED passed, $FAILED failed"; echo "$PASSED $FAILED" >>"$WORK/score"; [ "$FAILED" = 0 ]; }

# a writer through the endpoint, until it is ended; see writer.py
write_begin() { python3 "$E2E/writer.py" "$KUBECONFIG" "$WORK/writer.log" >"$WORK/writer.out" & WRITER=$!; }

nodes_ready() { [ "$(kubectl get nodes --no-headers 2>/dev/null | grep -cw Ready)" = "$1" ]; }
# members HOST: names of the voting etcd members, as that host's member says
members() {
    local p=/etc/kubernetes/pki/etcd
    on "$1" env ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert $p/ca.crt --cert $p/healthcheck-client.crt \
        --key $p/healthcheck-client.key member list 2>/dev/null | grep 'started.*false$' | cut -d, -f3 | sort | xargs
}
