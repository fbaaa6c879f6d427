#!/bin/bash
# No key, token or password is in any argv, environment, log, plan or error; host keys are checked strictly on real servers.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
needs_cluster
check "reset before" ctl reset --yes --keep-software
samples=$WORK/argv.samples
: >"$samples"
# While init runs, the command lines and environments of all processes of this machine, lab hosts included, are read again and again. Lines that look
# like a private key or a bootstrap token are written to $samples.
( trap 'exit 0' TERM; while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -aE 'PRIVATE KEY|BEGIN|[a-z0-9]{6}\.[a-z0-9]{16}$' >>"$samples"; done ) &
sampler=$!
ctl -vv --log-file "$WORK/init.log" --output json init >"$WORK/init.out" 2>"$WORK/init.err"
status=$?
kill $sampler 2>/dev/null; wait $sampler 2>/dev/null
check "init with every log enabled" test $status = 0
ctl kubeconfig --yes --output-file "$KUBECONFIG" >/dev/null

# Collects lines of all private keys that this run made, so that the checks below can search for them. Bootstrap tokens are not collected: the checks
# find them by their form.
secrets=$WORK/secrets
: >"$secrets"
for m in "${MASTERS[@]}"; do
    on "$m" sh -c 'cat /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key' | grep -v -- '-----' | awk 'length($0) >= 60' >>"$secrets"
    on "$m" sh -c 'grep -h client-key-data /etc/kubernetes/*.conf' | awk '{print substr($2, 1, 80)}' >>"$secrets"
done
check "there are secrets to look for" test "$(wc -l <"$secrets")" -gt 100
for f in init.log init.out init.err; do
    check "none of them is in $f" sh -c "! grep -qFf '$secrets' '$WORK/$f'"
    check "no token is in $f" sh -c "! grep -qE '\\b[a-z0-9]{6}\\.[a-z0-9]{16}\\b' '$WORK/$f'"
    check "no private key is in $f" sh -c "! grep -q 'PRIVATE KEY' '$WORK/$f'"
done
check "none of them was in an argv or environment" sh -c "! grep -aqFf '$secrets' '$samples'"
check "no private key was in an argv or environment" sh -c "! grep -aqE 'BEGIN [A-Z ]*PRIVATE KEY-----' '$samples'"
check "only the operator can read the log" test "$(stat -c %a "$WORK/init.log")" = 600
for h in "${NODES[@]}"; do
    check "none of them is in the journal of $h" sh -c "! on $h journalctl --no-pager -o cat | grep -qFf '$secrets'"
    check "no other user can read a key on $h" sh -c "! on $h find /etc/kubernetes /var/lib/clusterctl /var/lib/kubelet/pki /tmp /run -xdev -type f -perm /o=r -exec grep -l 'PRIVATE KEY' {} + 2>/dev/null | grep ."
done
check "no plan shows a key" sh -c "on m1 rm /etc/kubernetes/scheduler.conf; ctl plan >'$WORK/plan.out' 2>&1; ! grep -qE 'PRIVATE KEY|client-key-data' '$WORK/plan.out'"
check "the deleted file is restored" ctl apply

# A user's own certificate gives no rights by itself. With --exec, kubectl runs clusterctl for a new certificate.
jane() { KUBECONFIG=$WORK/jane.kubeconfig kubectl "$@"; }
ln -sfn ctl "$WORK/bin/clusterctl"
for form in --ttl=1h --exec; do
    check "a kubeconfig for a user is made ($form)" ctl kubeconfig --user jane --group developers $form --yes --output-file "$WORK/jane.kubeconfig"
    check "only the operator can read it ($form)" test "$(stat -c %a "$WORK/jane.kubeconfig")" = 600
    check "the user is known and may nothing ($form)" output_has 'User "jane" cannot list resource "pods"' jane get pods
    kubectl create clusterrolebinding developers-view --clusterrole view --group developers >/dev/null
    check "a binding gives rights ($form)" wait_until 10 jane get pods
    kubectl delete clusterrolebinding developers-view >/dev/null
done
check "the CA's key is in no kubeconfig of a user" sh -c "ctl kubeconfig --user jane 2>&1 | tr -d ' \n' >'$WORK/jane.out'; ! grep -qFf '$secrets' '$WORK/jane.out'"
check "a kubeconfig that renews itself is merged into another" \
    env KUBECONFIG="$WORK/jane.kubeconfig" ctl kubeconfig --user jane --exec --merge
expect "a user in system:masters is refused" 4 ctl kubeconfig --user jane --group system:masters

swapped=$WORK/known_hosts.swapped
sed "/^$SUBNET.21 /s/ AAAA.*/ AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl/" "$KNOWN_HOSTS" >"$swapped"
sed "s|knownHosts: .*|knownHosts: [$swapped]|" "$CLUSTERCTL_INVENTORY" >"$WORK/swapped.yaml"
before=$(on w1 journalctl -u ssh --no-pager -o cat | grep -c 'Accepted publickey')
out=$(ctl -i "$WORK/swapped.yaml" exec --limit w1 -- true 2>&1); status=$?
check "a changed host key is refused (exit 5)" test $status = 5
check "the message has both fingerprints" test "$(grep -o 'SHA256:[A-Za-z0-9+/]*' <<<"$out" | sort -u | wc -l)" -ge 2
check "it is refused before any authentication" test "$(on w1 journalctl -u ssh --no-pager -o cat | grep -c 'Accepted publickey')" = "$before"
: >"$WORK/known_hosts.empty"
sed "s|knownHosts: .*|knownHosts: [$WORK/known_hosts.empty]|" "$CLUSTERCTL_INVENTORY" >"$WORK/unknown.yaml"
expect "an unknown host is refused" 5 ctl -i "$WORK/unknown.yaml" exec --limit w1 -- true

sed "s|user: ops|user: opspw\n  sudo: password|" "$CLUSTERCTL_INVENTORY" >"$WORK/password.yaml"
check "sudo with a password from a file" env CLUSTERCTL_SUDO_PASSWORD_FILE="$LAB/ssh/opspw.password" ctl -i "$WORK/password.yaml" exec --root --limit w1 -- id -u
echo wrong >"$WORK/wrong.password"
expect "a wrong password fails" 1 env CLUSTERCTL_SUDO_PASSWORD_FILE="$WORK/wrong.password" ctl -i "$WORK/password.yaml" exec --root --limit w1 -- id -u
finish
