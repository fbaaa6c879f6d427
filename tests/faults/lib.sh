# lib.sh: functions that all faults share: the row of the table, the change during which a fault is injected, and the invariants I1 to I9. Sourced,
# never run. A scenario calls `fault NUMBER NAME`, injects the fault, runs clusterctl, and ends with `recovers` (I5, the same command once, then
# nothing to do) and `holds` (all other invariants, and the row). A file may have several faults; it ends with `finish`, as every scenario does.
# shellcheck shell=bash
FAULTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$FAULTS/../e2e/lib.sh"
NOTES=$WORK/fault           # the folder with the records of the fault that is being injected
ROWS=$WORK/fault-rows       # a file with a line for each fault: number, seconds, passed, failed, known, name
KNOWN=0 LEDGER='' AWAY='' RUN=''
# `fault` cordons this node as if somebody else had done so; clusterctl must keep it cordoned. Empty if a fault needs both workers.
CORDONED=w1
trap 'kill $LEDGER $AWAY $RUN 2>/dev/null' EXIT

# fault NUMBER NAME: begins a fault on a cluster that needs no change: records what must not change, and starts ledger.py and away.py
fault() {
    NUMBER=$1 NAME=$2 BEGUN=$SECONDS BEFORE=($PASSED $FAILED $KNOWN)
    say "== fault $1: $2"
    rm -rf "$NOTES"
    mkdir -p -m 0700 "$NOTES"
    needs_cluster
    # clusterctl changes the host of the etcd leader last. So m3 is made the leader, and every change has the order m1, m2, m3.
    check "m3 leads etcd" wait_until 30 lead m3
    others_mark
    identities >"$NOTES/identities"
    files >"$NOTES/files.before"
    local urls; mapfile -t urls < <(member_urls)
    python3 "$FAULTS/ledger.py" write "$KUBECONFIG" "$NOTES/ledger" >"$NOTES/ledger.out" 2>&1 & LEDGER=$!
    python3 "$E2E/away.py" "$(etcd_client)" "$NOTES" "${urls[@]}" & AWAY=$!
    check "the ledger has entries" wait_until 20 test -s "$NOTES/ledger"
}

# known WHY WHAT COMMAND...: runs a check that is known to fail, for the reason WHY. Its failure is listed and not counted. If the check passes, that
# counts as a failure, so that `known` is replaced by `check`.
known() {
    local why=$1 what=$2; shift 2
    if "$@" >/dev/null 2>&1; then
        fail "$what: this passes now, so remove its mark as a known failure ($why)"
    else
        KNOWN=$((KNOWN + 1))
        say "known: $what: $why"
        echo "$NUMBER $what: $why" >>"$WORK/fault-known"
    fi
}

# begin ARGUMENT...: starts clusterctl with these arguments in the background; its output is in tried.log, like that of `tried`
begin() { : >"$WORK/tried.log"; ctl "$@" >"$WORK/tried.log" 2>&1 & RUN=$!; }
# reaches TEXT: waits until the command that `begin` started has printed this text
reaches() { check "the run prints: $1" wait_until 180 grep -qE -- "$1" "$WORK/tried.log"; }
# swapping HOST: succeeds if an API server is being replaced on this host at this moment
swapping() { on "$1" systemctl is-active -q clusterctl-static-pod-kube-apiserver.service; }
# ends WHAT STATUS: waits for the command that `begin` started, and checks its exit status
ends() {
    local status
    wait "$RUN" 2>/dev/null; status=$?
    RUN=
    if [ "$status" = "$2" ]; then pass "$1"; else fail "$1: exit $status, not $2"; said "$(cat "$WORK/tried.log")"; fi
}

# change: sets another value for a flag of the API server in the inventory, so that `apply` replaces the API server on one master after another
change() {
    local n
    n=$(sed -n 's/.*max-requests-inflight: "\([0-9]*\)".*/\1/p' "$CLUSTERCTL_INVENTORY")
    if [ -z "$n" ]; then
        printf '\ncontrolPlane:\n  apiServer: { extraArgs: { max-requests-inflight: "400" } }\n' >>"$CLUSTERCTL_INVENTORY"
    fi
    FLAG=max-requests-inflight=$((${n:-400} + 1))
    sed -i "s/max-requests-inflight: \"[0-9]*\"/max-requests-inflight: \"${FLAG#*=}\"/" "$CLUSTERCTL_INVENTORY"
}
# changed HOST: succeeds if the manifest of its API server has the new flag; unchanged HOST...: succeeds if none of these hosts has the new flag
changed() { on "$1" grep -q -- "--$FLAG" /etc/kubernetes/manifests/kube-apiserver.yaml; }
unchanged() { local h; for h in "$@"; do ! changed "$h" || return 1; done; }
# changed_everywhere: checks that every master has the new flag
changed_everywhere() { local m; for m in "${MASTERS[@]}"; do check "the change is on $m" changed "$m"; done; }
# ip_of HOST: prints its address in the lab
ip_of() { lab list | awk -v h="$1" '$1 == h { print $2 }'; }
# settled: succeeds if no control-plane host is changing a static pod
settled() {
    local m
    for m in "${MASTERS[@]}"; do
        ! on "$m" systemctl list-units --plain --no-legend 'clusterctl-*' | grep -E 'static-pod|watch' || return 1
    done
}
# all_serve: succeeds if the API server of every master is ready
all_serve() { local m; for m in "${MASTERS[@]}"; do on "$m" curl -skf -m 5 -o /dev/null https://127.0.0.1:6443/readyz || return 1; done; }
# all_vote: succeeds if each etcd member is healthy and reports three voting members
all_vote() {
    local m
    for m in "${MASTERS[@]}"; do
        [ "$(members "$m")" = "m1 m2 m3" ] && etcdctl_on "$m" endpoint health >/dev/null 2>&1 || return 1
    done
}
# lead HOST: moves the leadership of etcd to the member of this host
lead() {
    local id m
    id=$(etcdctl_on "$1" member list | awk -F', ' -v h="$1" '$3 == h { print $1 }')
    for m in "${MASTERS[@]}"; do [ "$m" = "$1" ] || etcdctl_on "$m" move-leader "$id" >/dev/null 2>&1; done
    etcdctl_on "$1" -w json endpoint status |
        python3 -c 'import json, sys; s = json.load(sys.stdin)[0]["Status"]; sys.exit(s["leader"] != s["header"]["member_id"])'
}

. "$FAULTS/invariants.sh"
