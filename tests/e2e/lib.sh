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
CTL=${CLUSTERCTL:-$ROOT/target/debug/clusterctl}
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
    cat "$ROOT/inventories/$1" "$ROOT/tests/lab/site.yaml" | sed "s|@LAB@/known_hosts|$KNOWN_HOSTS|; s|@LAB@|$LAB|g; s|172\.30\.0\.|$SUBNET.|g" >"$CLUSTERCTL_INVENTORY"
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
tried() { "$CTL" "$@" >"$WORK/tried.log" 2>&1; }
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

# a writer through the endpoint, until it is ended; see writer.py
write_begin() { python3 "$E2E/writer.py" "$KUBECONFIG" "$WORK/writer.log" >"$WORK/writer.out" & WRITER=$!; }

# stored NAME: a ConfigMap is written, or is there: one whose write was answered with an error, as while members elect a leader, may be
stored() { kubectl --request-timeout 5s create configmap "$1" || kubectl --request-timeout 5s get configmap "$1"; }
# reads NAME: twenty reads of a ConfigMap in a row succeed
reads() { local _; for _ in $(seq 20); do kubectl --request-timeout 5s get configmap "$1" || return 1; done; }

nodes_ready() { [ "$(kubectl get nodes --no-headers 2>/dev/null | grep -cw Ready)" = "$1" ]; }
# etcdctl_on HOST ARGUMENT...: with the member of that host
etcdctl_on() {
    local h=$1 p=/etc/kubernetes/pki/etcd; shift
    on "$h" env ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert $p/ca.crt --cert $p/healthcheck-client.crt --key $p/healthcheck-client.key "$@"
}
# members HOST: names of the voting etcd members, as that host's member says
members() { etcdctl_on "$1" member list 2>/dev/null | grep 'started.*false$' | cut -d, -f3 | sort | xargs; }

# rate: requests a second that this machine bears besides running all hosts: 100, or half where even at rest one in a hundred waits long
rate() {
    local p99
    p99=$(timeout -s TERM 6 python3 "$E2E/probe.py" "$KUBECONFIG" "$WORK/probe.log" 100 | sed -n 's/.* p99-ms \([0-9]*\).*/\1/p')
    if [ -z "${STRICT:-}" ] && [ "${p99:-999}" -gt 150 ]; then echo 50; else echo 100; fi
    say "at rest, of 100 requests a second one in a hundred takes $p99 ms or more" >&2
}
# probes through the endpoint and of a Service, until they are ended; see probe.py and service-probe.sh
probes_begin() {
    write_begin
    python3 "$E2E/probe.py" "$KUBECONFIG" "$WORK/probe.log" "$(rate)" >"$WORK/probe.out" & PROBE=$!
    SERVICE=
    [ -n "${1:-}" ] || return 0
    on m1 sh -c 'cat >/run/service-probe.sh' <"$E2E/service-probe.sh"
    on m1 sh /run/service-probe.sh "$1" >"$WORK/service.out" & SERVICE=$!
}
probes_end() {
    kill "$PROBE" "$WRITER"
    [ -z "$SERVICE" ] || on m1 pkill -TERM -f service-probe.sh
    wait "$PROBE" "$WRITER" ${SERVICE:+"$SERVICE"}
    say "API probe: $(tail -n 1 "$WORK/probe.out")"
    say "writer: $(tail -n 1 "$WORK/writer.out")"
    tail -n 5 "$WORK/probe.log" "$WORK/writer.log"
    [ -z "$SERVICE" ] || { say "Service probe: $(tail -n 1 "$WORK/service.out")"; tail -n 6 "$WORK/service.out"; }
}
# few FILE: none failed. Two cores that run all hosts and the probes themselves may let some requests time out: up to one in two hundred is
# told and not held against the cluster, unless STRICT is set.
few() {
    awk -v strict="${STRICT:-}" '{for (i = 1; i < NF; i++) {if ($i == "requests" || $i == "acknowledged") all = $(i + 1); if ($i == "failed") bad = $(i + 1)}}
        END {print bad " of " all " failed"; exit !(all > 0 && (bad == 0 || (strict == "" && bad <= all / 200)))}' "$1"
}
# unnoticed WHAT: nothing that the probes asked for failed, nothing that was written is missing
unnoticed() {
    check "$1: no failed API request" few "$WORK/probe.out"
    check "$1: no failed write" few "$WORK/writer.out"
    check "$1: no acknowledged write is missing" grep -q ' missing 0 ' "$WORK/writer.out"
    [ -z "$SERVICE" ] || check "$1: no failed Service request" few "$WORK/service.out"
}
at_version() { [ "$(kubectl get nodes --no-headers 2>/dev/null | awk -v v="$1" '$2 == "Ready" && $5 == v' | wc -l)" = "$2" ]; }
NEXT=v1.21.14
