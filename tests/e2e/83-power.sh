#!/bin/bash
# The power of the only control-plane host fails: during and right after the downloads and pulls of an init, and at different moments of a change of
# its API server and of its etcd. Whatever the host had not yet written to its disk is lost. After every power cut the host has whole files, programs
# and images, an existing cluster serves again without help, and the same command then completes the work.
# CUTS (default: 12) is the number of power cuts in changes of a static pod; each of them comes later in the change than the one before.
# Needs: nothing; makes its own host. Leaves: no hosts.
. "$(dirname "$0")/lib.sh"
lab down >/dev/null 2>&1
lab disk m1
check "a prepared host whose power can be cut starts" lab up --masters 1 --workers 0 --lbs 0 --prepared
[ "$FAILED" = 0 ] || { finish; exit; }
# What belongs to the host is on its disk, as after some time of use.
on m1 sync
lab_inventory single.yaml
without_pending_pods
cuts=0

# cut_at STEP DELAY ARGUMENT...: runs clusterctl with these arguments and cuts the power DELAY seconds after a step of m1 whose title contains STEP has
# begun. Then starts m1 again and checks that its files, programs and images are whole.
cut_at() {
    local step=$1 delay=$2 run status; shift 2
    rm -f "$WORK/cut.log"
    ctl --log-file "$WORK/cut.log" "$@" >"$WORK/cut.out" 2>&1 & run=$!
    begun() { grep -sq "$step.*: started" "$WORK/cut.log" || ! kill -0 $run 2>/dev/null; }
    wait_until 120 begun
    sleep "$delay"
    lab power-cut m1
    wait $run; status=$?
    cuts=$((cuts + 1))
    if grep -q "$step.*: started" "$WORK/cut.log"; then
        pass "power cut $cuts: $delay s after the begin of \`$step\` (exit $status)"
    else
        fail "power cut $cuts: no step \`$step\` has begun"
        said "$(cat "$WORK/cut.out")"
    fi
    # A change that is complete before the power fails ends well.
    [ $status = 0 ] || check "m1 is named" grep -q "^error: .*m1" "$WORK/cut.out"
    check "m1 starts again" lab start m1
    check "its files and programs are whole" files_whole
}
# files_whole: succeeds if every manifest of m1 is a whole pod, every certificate and kubeconfig has its last line, and every program can be executed
files_whole() {
    on m1 sh -c '
        for f in /etc/kubernetes/manifests/*.yaml; do
            [ ! -e "$f" ] || { grep -q "^kind: Pod" "$f" && grep -q "^status: {}\|^  volumes:" "$f"; } || { echo "$f is not whole"; exit 1; }
        done
        for f in $(find /etc/kubernetes/pki -name "*.crt" -o -name "*.key" 2>/dev/null); do
            tail -n 1 "$f" | grep -q "^-----END" || { echo "$f is not whole"; exit 1; }
        done
        for f in /etc/kubernetes/*.conf; do [ ! -e "$f" ] || [ -s "$f" ] || { echo "$f is empty"; exit 1; }; done
        for f in kubelet kubectl; do
            [ ! -e /usr/local/bin/$f ] || /usr/local/bin/$f --version >/dev/null 2>&1 || /usr/local/bin/$f version --client >/dev/null ||
                { echo "$f is not whole"; exit 1; }
        done'
}
# contents: prints a line `IMAGE DIGEST` for each image that counts as present on m1, with one digest of all files in it. Images in the file `pulls` were
# not yet written to the disk when the power failed, and the next run pulls them again.
contents() {
    on m1 sh -c '
        pulls=/var/lib/clusterctl/pulls at=/run/contents
        [ -e $pulls ] || pulls=/dev/null
        mkdir -p $at
        for i in $(ctr -n k8s.io images ls -q | grep -v "^sha256:" | grep -vxFf $pulls); do
            ctr -n k8s.io images mount "$i" $at >/dev/null || { echo "$i cannot be mounted"; continue; }
            echo "$i $(cd $at && find . -type f -exec sha256sum {} + | sort | sha256sum | cut -c1-64)"
            ctr -n k8s.io images unmount --rm $at >/dev/null
        done'
}
# note_contents: notes what the images of m1 contain after this power cut; the end of the scenario compares that with what they should contain
note_contents() { wait_until 30 on m1 ctr -n k8s.io images ls -q >/dev/null; contents >>"$WORK/contents"; }
: >"$WORK/contents"

# Programs and images arrive within some seconds, so the cuts are at moments during their arrival and shortly after it. They are removed before each
# cut, so that they arrive again.
nothing_arrived() {
    on m1 sh -c 'ctr -n k8s.io images ls -q | xargs -r ctr -n k8s.io images rm --sync >/dev/null
        rm -f /usr/local/bin/kubelet /usr/local/bin/kubectl && sync'
}
for delay in 0.2 0.5 1 1.5 2.5 4; do
    check "programs and images are removed" wait_until 30 nothing_arrived
    cut_at "pull" $delay init
    note_contents
done
# Each of these runs continues the previous one.
for at in "start or restart kubelet:0.1" "wait for the API server:1" "wait for the API server:6" "set labels:0" "rolled out:2"; do
    cut_at "${at%%:*}" "${at##*:}" init
    note_contents
done
start=$(millis)
check "the same init succeeds" ctl init
say "init after $cuts power cuts: $(($(millis) - start)) ms"
expect "nothing is left to do" 0 ctl plan
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "the node is Ready" wait_until 60 nodes_ready 1

# An acknowledged write is on the disk of etcd, so it survives the power cut.
: >"$WORK/written"
write() { kubectl --request-timeout 10s create configmap "power-$1" >/dev/null && echo "power-$1" >>"$WORK/written"; }
missing() { local n; for n in $(cat "$WORK/written"); do kubectl get configmap "$n" >/dev/null || echo "$n"; done; }
serves() { kubectl --request-timeout 5s get nodes; }
# settle WHAT: checks that the cluster serves without help, that no write is missing, and that the same apply completes the change
settle() {
    check "an API server serves again without help" wait_until 120 serves
    check "no acknowledged write is missing" test -z "$(missing)"
    check "the same apply succeeds" ctl apply
    check "$1" on m1 grep -q "$2" "$3"
    expect "nothing is left to do" 0 ctl plan
    check "no rule that rejects connections is left" on m1 sh -c '! iptables-save | grep -i clusterctl | grep -E "REJECT|DROP"'
    check "no copy of a manifest is left" on m1 sh -c '! ls /var/lib/clusterctl/static-pods/*.old /etc/kubernetes/manifests/.??* 2>/dev/null | grep .'
}
for n in $(seq "${CUTS:-12}"); do
    check "a write is acknowledged" wait_until 30 write "$n"
    sed -i '/^controlPlane:/d' "$CLUSTERCTL_INVENTORY"
    if [ $((n % 4)) = 0 ]; then
        sed -i "/^  extraArgs: { max-txn-ops/d; s/^etcd:\$/&\n  extraArgs: { max-txn-ops: \"$((128 + n))\" }/" "$CLUSTERCTL_INVENTORY"
        cut_at "run static pods\? etcd" "$((n / 4)).5" apply
        settle "etcd has the new flag" "max-txn-ops=$((128 + n))" /etc/kubernetes/manifests/etcd.yaml
    else
        printf 'controlPlane: { apiServer: { extraArgs: { event-ttl: %dh0m0s } } }\n' "$n" >>"$CLUSTERCTL_INVENTORY"
        cut_at "run static pod kube-apiserver" "$((n - 1)).$((n % 3 * 3))" apply
        settle "the API server has the new flag" "event-ttl=${n}h0m0s" /etc/kubernetes/manifests/kube-apiserver.yaml
    fi
done
contents >"$WORK/contents.whole"
say "$(sort -u "$WORK/contents" | wc -l) images were present after power cuts"
check "after every power cut, each image that counted as present was whole" sh -c "! sort -u '$WORK/contents' | grep -vxFf '$WORK/contents.whole'"
say "$cuts power cuts"
lab down
finish
