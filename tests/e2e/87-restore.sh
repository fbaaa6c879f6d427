#!/bin/bash
# Snapshots of etcd, a restore after all members have lost their data, a restore that is killed in every phase, and a recovery from one member after the
# quorum was lost: every write up to the snapshot, or up to the last commit of the member, is there.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
LEDGER_PY=$ROOT/tests/faults/ledger.py
FILES=$WORK/snapshots
rm -rf "$FILES"
mkdir -m 0700 "$FILES"
needs_cluster
trap 'kill $LEDGER $WATCH 2>/dev/null' EXIT
LEDGER='' WATCH=''

# ledger_begin NAME, ledger_end: write acknowledged ConfigMaps with their revisions to a ledger meanwhile
ledger_begin() { python3 "$LEDGER_PY" write "$KUBECONFIG" "$FILES/$1" >"$FILES/$1.out" 2>&1 & LEDGER=$!; }
ledger_end() { kill "$LEDGER"; wait "$LEDGER" 2>/dev/null; LEDGER=''; }
# up_to REVISION NAME: the entries of the ledger up to this revision; after REVISION NAME: the later ones
up_to() { awk -v r="$1" '$2 <= r' "$FILES/$2" >"$FILES/$2.before"; [ -s "$FILES/$2.before" ]; }
after() { awk -v r="$1" '$2 > r + 50' "$FILES/$2" >"$FILES/$2.after"; [ -s "$FILES/$2.after" ]; }
has_entries() { etcdctl_on "$1" get --prefix /registry/configmaps/default/ledger- --keys-only -w json | python3 "$LEDGER_PY" compare "$2"; }
lacks_entries() { ! has_entries "$1" "$2" >"$FILES/lacks" 2>&1 && [ "$(grep -c 'not in etcd' "$FILES/lacks")" = "$(wc -l <"$2")" ]; }
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$@"; }
# watch_begin, watch_end: measure how long the API does not answer at the endpoint; prints the longest time in milliseconds
watch_begin() {
    python3 - "$SUBNET.31" "$FILES/silence" <<'PY' & WATCH=$!
import ssl, sys, time, urllib.request
context, longest, last = ssl._create_unverified_context(), 0.0, time.monotonic()
while True:
    try:
        urllib.request.urlopen(f"https://{sys.argv[1]}:6443/readyz", timeout=2, context=context).read()
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        open(sys.argv[2], "w").write(str(int(longest * 1000)))
    except Exception:
        pass
    time.sleep(0.2)
PY
}
watch_end() { sleep 1; kill "$WATCH"; wait "$WATCH" 2>/dev/null; WATCH=''; cat "$FILES/silence"; }
serves() { curl -skf -m 2 -o /dev/null "https://$SUBNET.31:6443/readyz"; }
all_serve() { local m; for m in "${MASTERS[@]}"; do on "$m" curl -skf -m 5 -o /dev/null https://127.0.0.1:6443/readyz || return 1; done; }
# one_etcd HOST: succeeds if exactly the etcd of the member runs on the host, and nothing of a rehearsal or a restore is left but the mark
one_etcd() { on "$1" sh -c '[ "$(pgrep -c -x etcd)" = 1 ] && [ ! -e /var/lib/etcd/.restored ] && ! find /var/lib/clusterctl/restore /var/lib/clusterctl/snapshot.* -type f ! -name mark 2>/dev/null | grep .'; }
as_before() { local m; for m in "${MASTERS[@]}"; do check "$m: nothing is left but the mark and the previous data" one_etcd "$m"; done; }
works() {
    check "every API server serves" wait_until 60 all_serve
    for m in "${MASTERS[@]}"; do check "$m sees three voting members" wait_until 30 test "$(members "$m")" = "m1 m2 m3"; done
    check "five nodes are Ready" wait_until 120 nodes_ready 5
    check "the cluster accepts writes" wait_until 20 can_write "after-$RANDOM"
    expect "apply has nothing to do" 0 ctl plan
}
etcd_pids() { local m; for m in "${MASTERS[@]}"; do on "$m" pgrep -x etcd; done; }

# 1. Snapshots, under writes.
ledger_begin one
check "the ledger has entries" wait_until 20 test -s "$FILES/one"
sleep 2
check "a snapshot is saved" sh -c "ctl etcd snapshot save '$FILES/one.db' --output json >'$FILES/one.json'"
revision=$(field "$FILES/one.json" revision)
say "snapshot at revision $revision, $(field "$FILES/one.json" bytes) bytes, from $(field "$FILES/one.json" member)"
check "only its owner can read it" test "$(stat -c %a "$FILES/one.db")" = 600
check "its SHA-256 is the one that was told" test "$(sha256sum <"$FILES/one.db" | cut -c1-64)" = "$(field "$FILES/one.json" sha256)"
expect "an existing file is not overwritten" 4 ctl etcd snapshot save "$FILES/one.db"
check "no partial file is left" sh -c "! ls '$FILES' | grep part"
for _ in 1 2 3; do ctl etcd snapshot save "$FILES" --keep 2 >/dev/null || fail "etcd snapshot save --keep"; sleep 1; done
check "two of the three snapshots that the command has named are kept" test "$(find "$FILES" -name 'ha-*.db' | wc -l)" = 2
check "an earlier snapshot is not touched" test -e "$FILES/one.db"
check "a rehearsal of the restore" output_has 'it is a snapshot of cluster ha' ctl etcd snapshot verify "$FILES/one.db" --on m2
for m in "${MASTERS[@]}"; do check "$m: nothing is left of the rehearsal" one_etcd "$m"; done
sleep 3
ledger_end
check "the ledger has entries up to the snapshot" up_to "$revision" one
check "the ledger has entries after the snapshot" after "$revision" one

# 2. Files that are no whole snapshots are refused before anything stops.
etcd_pids >"$FILES/pids"
python3 - "$FILES" <<'PY'
import sys
folder = sys.argv[1]
whole = open(f"{folder}/one.db", "rb").read()
flipped = bytearray(whole)
flipped[len(whole) // 2] ^= 1
for name, data in [("flipped", flipped), ("cut", whole[: len(whole) // 2]), ("copy", whole[:-32])]:
    open(f"{folder}/{name}.db", "wb").write(data)
PY
for name in flipped cut copy; do
    expect "a snapshot that is $name is refused" 4 ctl etcd restore "$FILES/$name.db" --yes
    expect "and not rehearsed" 4 ctl etcd snapshot verify "$FILES/$name.db"
done
expect "a recovery is refused while the quorum holds" 4 ctl etcd recover --from m1 --yes
same_pids() { etcd_pids | cmp - "$FILES/pids"; }
check "no etcd was stopped" same_pids

# 3. All members lose their data.
for m in "${MASTERS[@]}"; do on "$m" sh -c 'rm -rf /var/lib/etcd/member; pkill -KILL -x etcd'; done
check "the cluster has lost its objects" wait_until 120 lacks_entries m1 "$FILES/one.before"
check "a dry run shows the restore" output_has 'exchange the data' ctl etcd restore "$FILES/one.db" --dry-run
wait_until 60 serves
watch_begin
start=$(millis)
check "the snapshot is restored" tried etcd restore "$FILES/one.db" --yes
say "the restore took $(($(millis) - start)) ms"
silence=$(watch_end)
say "the API did not answer for $silence ms"
check "the API answers again within 60 s" test "$silence" -lt 60000
works
for m in "${MASTERS[@]}"; do
    check "$m has every write up to the snapshot" has_entries "$m" "$FILES/one.before"
    check "$m has no write from after the snapshot" lacks_entries "$m" "$FILES/one.after"
done
as_before
check "the message tells where the previous data is" output_has 'clusterctl exec --root'
check "the same command once more has nothing to do" output_has 'nothing to do' ctl etcd restore "$FILES/one.db" --yes

# 4. A restore is killed in every phase, `apply` is refused meanwhile, and the same command goes on.
ledger_begin two
sleep 3
ledger_end
check "a second snapshot" sh -c "ctl etcd snapshot save '$FILES/two.db' --output json >'$FILES/two.json'"
check "the ledger has entries up to the second snapshot" up_to "$(field "$FILES/two.json" revision)" two
# killed_in PHASE SECONDS: runs the restore and kills it so long after this phase has begun; succeeds if it was killed
killed_in() {
    local line pid killed=1
    rm -f "$WORK/fifo"; mkfifo "$WORK/fifo"
    ctl etcd restore "$FILES/two.db" --yes >"$WORK/fifo" 2>&1 & pid=$!
    while read -r line; do
        echo "$line" >>"$WORK/restore.log"
        case $line in "$1 ("*' step'*) sleep "$2"; kill -KILL "$pid" && killed=0; break ;; esac
    done <"$WORK/fifo"
    wait "$pid" 2>/dev/null
    return $killed
}
: >"$WORK/restore.log"
unlocked() { local m; for m in "${MASTERS[@]}"; do on "$m" sh -c '[ ! -e /var/lib/clusterctl/lock.flock ] || flock -n /var/lib/clusterctl/lock.flock true' || return 1; done; }
while read -r seconds phase; do
    check "a restore is killed in the phase: $phase" killed_in "$phase" "$seconds"
    check "the hosts are unlocked" wait_until 45 unlocked
    # A restore that is killed before the snapshot has arrived has changed nothing, so `apply` is not refused then.
    [ "$phase" != 'bring the snapshot' ] || continue
    expect "apply is refused meanwhile" 4 tried apply
    check "the refusal names the command that goes on" output_has "clusterctl etcd restore $FILES/two.db"
done <<'PHASES'
0.1 bring the snapshot
0.5 stop the API
0.5 stop etcd
0 exchange the data
0 start etcd
0.5 quorum
1 start the API
PHASES
check "the same command completes the restore" tried etcd restore "$FILES/two.db" --yes
works
for m in "${MASTERS[@]}"; do check "$m has every write up to the second snapshot" has_entries "$m" "$FILES/two.before"; done
as_before

# 5. The quorum is lost: the data of two members is damaged. The third has every write up to its last commit.
ledger_begin three
sleep 4
ledger_end
sleep 2
for m in m2 m3; do
    # etcd repairs a log whose end is missing, but not one whose beginning is damaged.
    on "$m" sh -c 'pkill -KILL -x etcd; for f in /var/lib/etcd/member/wal/*.wal; do head -c 65536 /dev/urandom | dd of="$f" conv=notrunc status=none; done; pkill -KILL -x etcd || true'
done
no_quorum() { ! etcdctl_on m1 endpoint health; }
check "etcd has lost its quorum" wait_until 60 no_quorum
expect "the state of etcd is shown" 1 ctl etcd status
check "a dry run of the recovery" output_has 'would stop the etcd member of m1' ctl etcd recover --from m1 --dry-run
cd "$FILES" || exit 1
start=$(millis)
check "etcd continues from the member of m1" tried etcd recover --from m1 --yes
say "the recovery took $(($(millis) - start)) ms"
works
for m in "${MASTERS[@]}"; do check "$m has every write up to the last commit of m1" has_entries "$m" "$FILES/three"; done
as_before
check "the snapshot of the recovery is on this machine" test -n "$(find "$FILES" -name 'ha-recovered-m1-*.db')"

check "the previous data is deleted" ctl exec --root --limit m1,m2,m3 -- sh -c 'rm -rf /var/lib/etcd/member.before-*'
kubectl delete --raw '/api/v1/namespaces/default/configmaps?labelSelector=ledger' >/dev/null
finish
