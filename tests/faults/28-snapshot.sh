#!/bin/bash
# A snapshot is damaged, cut short, only a copy of etcd's database, or of another cluster: a restore of it is refused before any member is stopped.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
# processes: prints the start of the etcd and API server processes of the masters
processes() {
    local m
    for m in "${MASTERS[@]}"; do on "$m" sh -c 'for p in $(pgrep -x "etcd|kube-apiserver"); do cut -d" " -f1,22 /proc/$p/stat; done'; done
}
same_processes() { processes | cmp - "$NOTES/processes"; }
# of_another_cluster: makes a snapshot of an etcd on this machine whose ConfigMap cluster-info has another CA
of_another_cluster() {
    local folder=$NOTES/other pid ca
    mkdir -p "$folder"
    ca=$(printf -- '-----BEGIN CERTIFICATE-----\nother\n-----END CERTIFICATE-----\n' | base64 -w0)
    (cd "$folder" && exec "$LAB/bin/etcd" --data-dir data --listen-client-urls unix://client:1 --advertise-client-urls unix://client:1 \
        --listen-peer-urls unix://peer:1 --initial-advertise-peer-urls unix://peer:1 --initial-cluster default=unix://peer:1) >/dev/null 2>&1 & pid=$!
    other() { (cd "$folder" && "$LAB/bin/etcdctl" --endpoints unix://client:1 "$@"); }
    wait_until 10 other put /registry/configmaps/kube-public/cluster-info "certificate-authority-data: $ca" &&
        other snapshot save "$NOTES/foreign.db" && other snapshot save "$NOTES/foreign.db"
    kill "$pid"
    wait "$pid" 2>/dev/null
    [ -s "$NOTES/foreign.db" ]
}

fault 28 "snapshots that must not be restored"
expect "a snapshot is saved" 0 tried etcd snapshot save "$NOTES/whole.db"
python3 - "$NOTES" <<'PY'
import sys
folder = sys.argv[1]
whole = open(f"{folder}/whole.db", "rb").read()
flipped = bytearray(whole)
flipped[len(whole) // 3] ^= 1
for name, data in [("flipped", flipped), ("cut", whole[: len(whole) // 2]), ("short", whole[:-1]), ("copy", whole[:-32]), ("empty", b"")]:
    open(f"{folder}/{name}.db", "wb").write(data)
PY
processes >"$NOTES/processes"
for name in flipped cut short copy empty; do
    expect "$name: the restore is refused" 4 tried etcd restore "$NOTES/$name.db" --yes
    check "I9: $name: the message has a hint" output_has '^hint: .'
    expect "$name: a rehearsal is refused" 4 tried etcd snapshot verify "$NOTES/$name.db"
done
check "a snapshot of another cluster is made" of_another_cluster
expect "another cluster: a rehearsal fails" 1 tried etcd snapshot verify "$NOTES/foreign.db"
check "I9: another cluster: the message says so" output_has 'a cluster with another CA'
expect "another cluster: the restore is refused" 4 tried etcd restore "$NOTES/foreign.db" --yes
check "I9: another cluster: the refusal names the check and what to do" refuses - foreign-snapshot
check "no member and no API server was stopped" same_processes
recovers
holds
finish
