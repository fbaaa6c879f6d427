# invariants.sh: the invariants I1 to I9, which must hold after every fault, so that nothing is lost. Sourced by lib.sh.
# shellcheck shell=bash

# recovers [ARGUMENT...]: checks I5 and I8: all locks are released, clusterctl with these arguments (default: `apply`) completes the work without
# manual steps, and the next run has nothing to do
recovers() {
    [ $# -gt 0 ] || set -- apply
    check "I8: no host is locked" wait_until 45 unlocked
    expect "I5: the same command completes the work ($*)" 0 tried "$@"
    check "I5: the next run has nothing to do" output_has 'nothing to do' ctl "$@"
}

# holds: checks every invariant except I5 and I9, which the scenario checks itself; then adds the line of this fault to $ROWS, from which
# tests/faults/all prints its table
holds() {
    kill "$LEDGER" ${AWAY:+"$AWAY"} 2>/dev/null
    wait "$LEDGER" ${AWAY:+"$AWAY"}
    LEDGER='' AWAY=''
    local m h
    say "ledger: $(tail -n 1 "$NOTES/ledger.out")"
    check "all etcd members are voters" wait_until 60 all_vote
    for m in "${MASTERS[@]}"; do check "I1: the etcd member of $m has every acknowledged write" acknowledged_on "$m"; done
    check "I1: the members have the same data at the same revision" wait_until 30 same_data
    check "I2: no CA and no key of service accounts has changed" identities_kept
    check "I3: two etcd members were never unavailable at the same time" grep -q '^moments 0 ' "$NOTES/away.out"
    check "I6: labels, taints and cordons of others are unchanged" others_kept
    for h in "${HOSTS[@]}"; do check "I7: no incomplete file is on $h" no_partial "$h"; done
    files >"$NOTES/files.after"
    check "I7: every file had its old or its new content at every moment" whole_files
    check "I8: no host is locked" wait_until 45 unlocked
    check "no packet filter rule is left" no_rules
    check "no bootstrap token is left" no_tokens
    check "five nodes are Ready" wait_until 90 nodes_ready 5
    others_clear
    kubectl delete --raw '/api/v1/namespaces/default/configmaps?labelSelector=ledger' >/dev/null
    printf '%s\t%d\t%d\t%d\t%d\t%s\n' "$NUMBER" $((SECONDS - BEGUN)) $((PASSED - BEFORE[0])) $((FAILED - BEFORE[1])) \
        $((KNOWN - BEFORE[2])) "$NAME" >>"$ROWS"
}

# I1: acknowledged_on HOST: succeeds if the etcd member of this host has a key for each ConfigMap in the ledger, with exactly the revision that the
# API server acknowledged
acknowledged_on() {
    etcdctl_on "$1" get --prefix /registry/configmaps/default/ledger- --keys-only -w json |
        python3 "$FAULTS/ledger.py" compare "$NOTES/ledger"
}
same_data() {
    local revision
    revision=$(etcdctl_on m1 endpoint status --cluster -w json |
        python3 -c 'import json, sys; print(min(s["Status"]["header"]["revision"] for s in json.load(sys.stdin)))') || return 1
    etcdctl_on m1 endpoint hashkv --cluster --rev "$revision" -w json |
        python3 -c 'import json, sys; h = {s["HashKV"]["hash"] for s in json.load(sys.stdin)}; print(h); sys.exit(len(h) != 1)'
}
# I2: identities: prints digests of the CAs and of the service account keys of the cluster
identities() {
    local m
    for m in "${MASTERS[@]}"; do
        on "$m" sh -c 'cd /etc/kubernetes/pki && sha256sum ca.* sa.* front-proxy-ca.* etcd/ca.*' | sed "s/^/$m /"
    done
}
identities_kept() { [ "$(wc -l <"$NOTES/identities")" = 24 ] && identities | diff "$NOTES/identities" -; }
# I6: others_mark, others_kept, others_clear: set, check and remove a label, a taint, an annotation and a cordon that clusterctl does not own
others_mark() {
    kubectl label node w1 somebody=else --overwrite >/dev/null
    kubectl taint node w1 somebody=else:PreferNoSchedule --overwrite >/dev/null
    kubectl annotate node m2 somebody=else --overwrite >/dev/null
    [ -z "$CORDONED" ] || kubectl cordon "$CORDONED" >/dev/null
}
others_kept() {
    [ "$(kubectl get node w1 -o jsonpath='{.metadata.labels.somebody}')" = else ] &&
        kubectl get node w1 -o jsonpath='{.spec.taints}' | grep -q somebody &&
        [ "$(kubectl get node m2 -o jsonpath='{.metadata.annotations.somebody}')" = else ] &&
        [ "$(kubectl get nodes --no-headers | awk '/SchedulingDisabled/ { print $1 }' | xargs)" = "$CORDONED" ]
}
others_clear() {
    kubectl label node w1 somebody- >/dev/null
    kubectl taint node w1 somebody- >/dev/null
    kubectl annotate node m2 somebody- >/dev/null
    [ -z "$CORDONED" ] || kubectl uncordon "$CORDONED" >/dev/null
}
# I7: no_partial HOST: succeeds if this host has no temporary file, no copy of a static pod manifest that is kept for a rollback, no snapshot of etcd,
# and no empty file below /etc/kubernetes
no_partial() {
    on "$1" sh -c '! {
        find /etc /usr/local /var/lib/kubelet/pki /var/lib/clusterctl \( -name "*.clusterctl-new" -o -name "*.part" -o -name "*.part.of" \
            -o -name ".*.swap" -o -name ".*.aside" -o -name ".*.new" -o -name ".90-clusterctl*" \)
        find /var/lib/clusterctl/static-pods \( -name "*.new" -o -name "*.old" -o -name "*.rules" \)
        find /etc/kubernetes -type f -empty
        find /var/lib/clusterctl -name "snapshot.*"
    } 2>/dev/null | grep .'
}
# files: prints a line `HOST DIGEST PATH` for each file that clusterctl writes, except the bootstrap kubeconfig, which exists only during a join;
# note_files: adds these lines to files.middle, in the middle of a fault. whole_files: succeeds if each line of files.middle was also printed before
# or after the fault.
files() {
    local h
    for h in "${HOSTS[@]}"; do
        on "$h" sh -c 'find /etc/kubernetes /etc/cni/net.d /etc/haproxy/haproxy.cfg /etc/systemd/system/kubelet.service* \
            /var/lib/kubelet/config.yaml -type f ! -name ".*" ! -name bootstrap-kubelet.conf 2>/dev/null | xargs -r sha256sum' 2>/dev/null |
            sed "s/^/$h /"
    done
}
note_files() { files >>"$NOTES/files.middle"; }
whole_files() {
    [ -e "$NOTES/files.middle" ] || return 0
    ! sort -u "$NOTES/files.middle" | grep -vxFf "$NOTES/files.before" | grep -vxFf "$NOTES/files.after"
}
# I8: unlocked: succeeds if no host is locked; a host is locked as long as a process has a lock (flock) on lock.flock
unlocked() {
    local h
    for h in "${HOSTS[@]}"; do
        on "$h" sh -c '[ ! -e /var/lib/clusterctl/lock.flock ] || flock -n /var/lib/clusterctl/lock.flock true' || { echo "$h is locked"; return 1; }
    done
}
no_rules() {
    local h
    for h in "${HOSTS[@]}"; do
        ! on "$h" sh -c 'iptables-save; ip6tables-save' 2>/dev/null | grep -e clusterctl-swap -e '-j DROP$' | grep -v KUBE || return 1
    done
}
no_tokens() { [ -z "$(kubectl -n kube-system get secrets --field-selector type=bootstrap.kubernetes.io/token -o name)" ]; }

# I9: explains HOST CAUSE: succeeds if the output of the last `tried` has an error line that names this host, matches the regular expression CAUSE,
# and has a hint
explains() {
    if grep -qE "^error: ([a-z0-9]+, )*$1(, [a-z0-9]+)*: ." "$WORK/tried.log" && grep -qE -- "$2" "$WORK/tried.log" &&
        grep -qE '^hint: .' "$WORK/tried.log"; then return; fi
    tail -n 20 "$WORK/tried.log"
    return 1
}
# refuses HOST CHECK: succeeds if the output of the last `tried` has a refusal of this check for this host (`-`: for the whole cluster), and a hint
refuses() {
    local host="$1: "
    [ "$1" != - ] || host=
    if grep -qE "^refused: $host.*\[$2\]" "$WORK/tried.log" && grep -qE '^hint: .' "$WORK/tried.log"; then return; fi
    tail -n 20 "$WORK/tried.log"
    return 1
}
