#!/bin/bash
# Secrets are encrypted in etcd from the first write of a new cluster; the key is changed under way without a failed request, also by runs that are killed
# at their steps; a control plane that joins reads what the others wrote; encryption is switched off and on again; and no key is in a log, plan or argv.
# EVERY (default: 3): a killed run is killed at every so many steps.
# Needs: nothing; makes its own prepared hosts. Leaves: no hosts.
. "$(dirname "$0")/lib.sh"
lab down >/dev/null 2>&1
check "prepared hosts start" lab up --masters 3 --workers 1 --lbs 1 --prepared
folder=/etc/kubernetes/encryption-at-rest
lab_inventory ha-haproxy.yaml
without_pending_pods
# with PROVIDER HOST...: writes the inventory with these hosts, and with this provider unless it is `none`
with() {
    local provider=$1; shift
    inventory_of "$@"
    [ "$provider" = none ] || cat >>"$CLUSTERCTL_INVENTORY" <<YAML
controlPlane:
  encryption:
    provider: $provider
    resources: [secrets, configmaps]
YAML
}
cp "$CLUSTERCTL_INVENTORY" "$FULL"
# keys HOSTS: prints the keys that these hosts have, in base64, as they stand in its files
keys() { local m; for m in $1; do on "$m" sh -c "cat $folder/*.yaml 2>/dev/null" | sed -n 's/^ *secret: //p'; done | sort -u; }
# names HOSTS: prints the names of the keys in the files of these hosts
names() { local m; for m in $1; do on "$m" sh -c "cat $folder/*.yaml 2>/dev/null" | sed -n 's/^ *- name: //p'; done | sort -u | xargs; }
# stored KEY: prints how the value of this key begins in etcd
stored() { etcdctl_on m1 get "$1" --print-value-only | head -c 60 | tr -dc '[:print:]'; }
# in_clear TEXT: succeeds if any value below /registry/secrets has the text
in_clear() { etcdctl_on m1 get /registry/secrets/ --prefix --print-value-only | grep -aF "$1" >/dev/null; }
# not COMMAND...: succeeds if the command fails
not() { ! "$@"; }
# begin_with PREFIX: succeeds if every Secret in etcd begins with this text
begin_with() {
    local key
    for key in $(etcdctl_on m1 get /registry/secrets/ --prefix --keys-only | awk NF); do
        case $(stored "$key") in "$1"*) ;; *) echo "$key: $(stored "$key")"; return 1 ;; esac
    done
}
# reads: reads a Secret through each API server until it is terminated; each failed request is a line in $WORK/reads.log
reads() {
    local m; : >"$WORK/reads.log"; : >"$WORK/reads.ok"
    trap 'exit 0' TERM
    while :; do
        for m in $1; do
            # While an API server is replaced it answers nothing; a Secret that it cannot read is another answer.
            value=$(kubectl --server "https://$SUBNET.1${m#m}:6443" --request-timeout 5s get secret canary -o jsonpath='{.data.value}' 2>&1)
            case $value in
                "$(printf %s "$canary" | base64)") echo ok >>"$WORK/reads.ok" ;;
                *refused*|*timeout*|*'connection reset'*|*EOF*|*'net/http'*|*'i/o'*) ;;
                *) echo "$m: $value" >>"$WORK/reads.log" ;;
            esac
        done
    done
}
# applied WHAT ARGUMENT...: runs clusterctl while the probes send requests, and checks that no request failed and that no Secret was unreadable
applied() {
    local what=$1 start status reader; shift
    probes_begin
    reads "$masters" & reader=$!
    start=$(millis)
    ctl -vv --log-file "$WORK/encryption.log" "$@" --yes >>"$WORK/encryption.out" 2>&1; status=$?
    check "$what: $*" test $status = 0
    [ $status = 0 ] || said "$(tail -n 30 "$WORK/encryption.out")"
    say "$what: $(($(millis) - start)) ms"
    kill $reader; wait $reader 2>/dev/null
    probes_end
    unnoticed "$what"
    check "$what: Secrets were read all the while" test -s "$WORK/reads.ok"
    check "$what: no API server met a Secret that it cannot read" test ! -s "$WORK/reads.log"
    [ ! -s "$WORK/reads.log" ] || said "$(head -n 5 "$WORK/reads.log")"
    expect "$what: nothing is left to do" 0 ctl plan
}
samples=$WORK/argv.samples all=$WORK/keys
: >"$samples"; : >"$all"; : >"$WORK/encryption.log"; : >"$WORK/encryption.out"
# The command lines of all processes of this machine, lab hosts included, are read again and again. Keys are 32 bytes, so 44 characters in base64.
( trap 'exit 0' TERM; while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -aE '[A-Za-z0-9+/]{43}=' >>"$samples"; sleep 0.1; done ) &
sampler=$!
canary=CANARY-$RANDOM$RANDOM
masters="m1 m2"

with aesgcm m1 m2 w1 lb1
expect "an unknown provider is refused" 3 ctl validate
with secretbox m1 m2 w1 lb1
check "the inventory is valid" ctl validate
ctl -vv --log-file "$WORK/encryption.log" init >>"$WORK/encryption.out" 2>&1; status=$?
check "init" test $status = 0
[ $status = 0 ] || said "$(tail -n 30 "$WORK/encryption.out")"
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
keys "$masters" >>"$all"
check "both control planes have one key" test "$(wc -l <"$all")" = 1
for m in $masters; do
    check "only root can read the file of $m" test "$(on "$m" sh -c "stat -c %a/%u $folder/*.yaml")" = 600/0
done
check "a worker has no key" sh -c "! on w1 ls $folder"
kubectl create secret generic canary --from-literal value="$canary" >/dev/null
check "the Secret is not in clear in etcd" not in_clear "$canary"
check "every Secret is encrypted with the key" begin_with "k8s:enc:secretbox:v1:$(names m1):"
check "the status names the key" output_has "$(names m1)" ctl secrets status
expect "nothing is left to do" 0 ctl plan

first=$(names m1)
expect "the dry run of a change shows it" 0 tried secrets rotate-key --dry-run
check "with the rewrite" output_has 'rewrite all configmaps, secrets'
applied "the key is changed" secrets rotate-key
keys "$masters" >>"$all"
check "both have one new key" test "$(keys "$masters" | wc -l)" = 1 -a "$(names m1)" != "$first"
check "the old key is in no file" sh -c "! on m1 grep -r '$first' /etc/kubernetes /var/lib/clusterctl && ! on m2 grep -r '$first' /etc/kubernetes /var/lib/clusterctl"
check "no value has the old key" begin_with "k8s:enc:secretbox:v1:$(names m1):"

before=$(names m1)
start=$SECONDS
if python3 "$E2E/kills.py" clusterctl "${EVERY:-3}" "$NET" ctl secrets rotate-key --yes >"$WORK/kills.out" 2>&1; then
    pass "a change that is killed at its steps goes on: $(tail -n 1 "$WORK/kills.out"), $((SECONDS - start)) s"
else
    fail "a change that is killed at its steps goes on"
    said "$(cat "$WORK/kills.out")"
fi
keys "$masters" >>"$all"
check "one new key is left" test "$(keys "$masters" | wc -l)" = 1 -a "$(names m1)" != "$before"
check "every Secret is encrypted with it" begin_with "k8s:enc:secretbox:v1:$(names m1):"
check "the Secret is as it was" test "$(kubectl get secret canary -o jsonpath='{.data.value}' | base64 -d)" = "$canary"
expect "nothing is left to do" 0 ctl plan

with secretbox m1 m2 m3 w1 lb1
check "a third control plane joins" ctl join m3
masters="m1 m2 m3"
check "it has the key of the others" test "$(names m3)" = "$(names m1)"
check "it reads the Secret" test "$(kubectl --server "https://$SUBNET.13:6443" get secret canary -o jsonpath='{.data.value}' | base64 -d)" = "$canary"
check "a rewrite" ctl secrets rewrite
on m3 sh -c "rm $folder/*.yaml"
expect "a deleted file is a difference" 6 ctl plan
check "and comes back from the others" ctl apply

with none m1 m2 m3 w1 lb1
expect "encryption that leaves the inventory is refused" 4 tried apply
check "the hosts are named" output_has 'the API servers of m1, m2, m3 encrypt'
with identity m1 m2 m3 w1 lb1
applied "led back" apply
check "the value is in clear" in_clear "$canary"
check "no key is left" test -z "$(keys "$masters")"
with none m1 m2 m3 w1 lb1
expect "without it, nothing is left to do" 0 ctl plan
with aescbc m1 m2 m3 w1 lb1
applied "switched on later" apply
keys "$masters" >>"$all"
check "every Secret is encrypted" begin_with "k8s:enc:aescbc:v1:$(names m1):"
check "the value is not in clear any more" not in_clear "$canary"

kill $sampler; wait $sampler 2>/dev/null
check "there are keys to look for" test "$(sort -u "$all" | wc -l)" -ge 3
check "no key was in an argv or environment" sh -c "! grep -aqFf '$all' '$samples'"
for f in encryption.log encryption.out kills.out tried.log; do check "no key is in $f" sh -c "! grep -qFf '$all' '$WORK/$f'"; done
check "no key is in a journal" sh -c "for m in $masters; do ! on \$m journalctl --no-pager -o cat | grep -qFf '$all' || exit 1; done"
check "reset" ctl reset --yes --keep-software
check "no file is left" sh -c "! on m1 ls $folder"
lab down >/dev/null 2>&1
finish
