#!/bin/bash
# clusterctl, the sessions of sshd, and the scripts on hosts are killed (SIGKILL) during the steps of init, remove, join, upgrade and reset. Each time,
# the same command goes on, and at the end nothing of an interrupted run is left on any host.
# EVERY (default: 3): only every so many steps of a run are taken. VICTIMS (default: clusterctl sshd script): what is killed.
# Needs: nothing; makes its own prepared hosts. Leaves: no hosts.
. "$(dirname "$0")/lib.sh"
every=${EVERY:-3}
lab down >/dev/null 2>&1
check "prepared hosts for 3+2 start" lab up --masters 3 --workers 2 --prepared

# swept VICTIM ARGUMENT...: runs clusterctl with these arguments until it succeeds, and kills VICTIM during its steps
swept() {
    local victim=$1 start=$SECONDS; shift
    if python3 "$E2E/kills.py" "$victim" "$every" "$NET" ctl "$@" >"$WORK/kills.out" 2>&1; then
        pass "$1 with kills of $victim: $(tail -n 1 "$WORK/kills.out"), $((SECONDS - start)) s"
    else
        fail "$1 with kills of $victim"
        said "$(cat "$WORK/kills.out")"
    fi
    cat "$WORK/kills.out" >>"$WORK/kills.log"
}
# clean: checks that no host has a lock, a rule, a copy of a manifest or an incomplete file of an interrupted run
clean() {
    local h
    for h in "${HOSTS[@]}"; do
        check "no lock, rule or copy is left on $h" wait_until 45 on "$h" sh -c '
            [ ! -e /var/lib/clusterctl/lock.flock ] || flock -n /var/lib/clusterctl/lock.flock true || { echo "it is locked"; exit 1; }
            ! iptables-save | grep -i clusterctl | grep -E "REJECT|DROP" || exit 1
            ! systemctl list-units --plain --no-legend "clusterctl-*" | grep -E "static-pod|watch" || exit 1
            ! ls /var/lib/clusterctl/static-pods/*.old /etc/kubernetes/manifests/.??* 2>/dev/null | grep . || exit 1
            ! find /etc /usr/local /var/lib/kubelet/pki /var/lib/clusterctl \( -name "*.clusterctl-new" -o -name "*.part" -o -name ".*.swap" \) 2>/dev/null | grep .'
    done
}
one_ca() { local m; for m in "${MASTERS[@]}"; do on "$m" sha256sum /etc/kubernetes/pki/ca.crt; done | sort -u | wc -l; }

: >"$WORK/kills.log"
for victim in ${VICTIMS:-clusterctl sshd script}; do
    lab_inventory ha-haproxy.yaml
    without_pending_pods
    swept "$victim" init
    expect "nothing is left to do" 0 ctl plan
    clean
    check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
    check "five nodes are Ready" wait_until 60 nodes_ready 5
    check "all masters have one CA" test "$(one_ca)" = 1
    write_begin
    for h in w2 m3; do
        swept "$victim" remove "$h" --yes
        check "four nodes are left" nodes_ready 4
        swept "$victim" join "$h"
        expect "nothing is left to do" 0 ctl plan
        clean
    done
    check "three voting members" test "$(members m1)" = "m1 m2 m3"
    set_etcd_tag "$ETCD_NEXT"
    swept "$victim" upgrade --version "$NEXT"
    check "five nodes are Ready at $NEXT" wait_until 60 at_version "$NEXT" 5
    check "no node stays cordoned" test -z "$(kubectl get nodes --no-headers | grep SchedulingDisabled)"
    expect "nothing is left to do" 0 ctl plan
    clean
    kill "$WRITER"; wait "$WRITER"
    say "writer: $(cat "$WORK/writer.out")"
    check "no acknowledged write is missing" grep -q ' missing 0 ' "$WORK/writer.out"
    swept "$victim" reset --yes --keep-software
    for h in "${HOSTS[@]}"; do
        check "$h: no file and no process of the cluster is left" on "$h" sh -c '
            ! ls -d /etc/kubernetes /var/lib/etcd/member 2>/dev/null | grep . && ! pgrep -x "kubelet|etcd|kube-apiserver"'
    done
    rm -f "$WORK"/ha-etcd-*.db
done
cat "$WORK/kills.log"
lab down
finish
