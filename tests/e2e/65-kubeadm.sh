#!/bin/bash
# A real kubeadm works with clusterctl's cluster: its end-to-end suite, its commands on the masters, and a worker that joins with it and with a
# token.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
needs_cluster
download=http://$SUBNET.2/release/$VERSION/bin/linux/amd64
# `kubeadm init` leaves a bootstrap token that is valid for a day, and `clusterctl init` leaves none. So a token that is valid for an hour is made
# here.
token=$(ctl token create --raw --ttl 1h --description "for kubeadm") || fail "token create"
id=${token%%.*}
check "token list shows it without its secret" sh -c "ctl token list | grep -q '^$id .*for kubeadm' && ! ctl token list | grep -q '${token#*.}'"
check "token list as JSON" sh -c "ctl token list -o json | python3 -c 'import json,sys; assert any(t[\"id\"] == \"$id\" for t in json.load(sys.stdin)[\"tokens\"])'"
signed() { kubectl -n kube-public get configmap cluster-info -o jsonpath='{.data}' | grep -q "jws-kubeconfig-$id"; }
check "cluster-info is signed for the token" wait_until 20 signed
# The test `copy-certs` is skipped: it is about the Secret with which kubeadm copies certificates to new control-plane hosts and which exists for two
# hours. clusterctl does not make this Secret.
if [ -n "$SUITE" ]; then
    suite=$("$SUITE" --kubeconfig "$KUBECONFIG" --ginkgo.skip='\[copy-certs\]' 2>&1 | sed 's/\x1b\[[0-9;]*m//g')
    check "kubeadm's own end-to-end suite passes" grep -q '^PASS' <<<"$suite"
    say "kubeadm's suite: $(grep -o 'Passed.*' <<<"$suite" | head -n 1)"
    grep -q '^PASS' <<<"$suite" || grep -E 'Fail\]|Expected|error' <<<"$suite" | head -n 20
else
    say "note: the lab's release has no e2e_kubeadm.test, so kubeadm's own suite is not run"
fi

on m1 sh -c "curl -fsS -o /usr/local/bin/kubeadm $download/kubeadm && chmod 755 /usr/local/bin/kubeadm"
check "kubeadm token list shows the token" on m1 sh -c "kubeadm token list | grep -q '^$token .*for kubeadm'"
check "kubeadm certs check-expiration reads every certificate" on m1 sh -c \
    "kubeadm certs check-expiration 2>&1 | tee /dev/stderr | grep -cE '^(admin.conf|apiserver|apiserver-etcd-client|apiserver-kubelet-client|controller-manager.conf|etcd-healthcheck-client|etcd-peer|etcd-server|front-proxy-client|scheduler.conf|ca|etcd-ca|front-proxy-ca) .*no *$' | grep -qx 13"
check "kubeadm upgrade plan reads the cluster" on m1 sh -c "kubeadm upgrade plan $VERSION --ignore-preflight-errors=all 2>&1 | tee /dev/stderr | grep -qE 'Cluster version: v?${VERSION#v}\$'"
on m1 rm -f /usr/local/bin/kubeadm

# The host w3 is not in the inventory: only kubeadm makes it a node.
lab add w3 "$SUBNET.23" >/dev/null
on w3 bash -s -- "$VERSION" "$PAUSE_TAG" "$SUBNET.2" "$SUBNET.2:5000" <"$ROOT/tests/lab/kubeadm/node.sh" >/dev/null 2>&1 || fail "preparing w3"
join=$(ctl token create --print-join-command --ttl 30m) || fail "token create --print-join-command"
by_kubeadm() { on w3 sh -c "$1 --cri-socket $CRI_SOCKET --skip-phases=preflight"; }
check "kubeadm refuses a wrong CA pin" sh -c "! on w3 timeout 20 ${join%sha256:*}sha256:$(printf '%064d' 1) --cri-socket $CRI_SOCKET --skip-phases=preflight"
check "kubeadm join with the printed command" by_kubeadm "$join"
check "its node exists" wait_until 30 kubectl get node w3
check "token delete" ctl token delete "$token" "$(sed 's/.*--token \([a-z0-9]*\)\..*/\1/' <<<"$join")"
expect "a token that does not exist cannot be deleted" 1 ctl token delete "$id"
check "the deleted token is refused by the API" sh -c "! on w3 kubectl --server https://$SUBNET.31:6443 --certificate-authority /etc/kubernetes/pki/ca.crt --token $token get csr"
kubectl delete node w3 >/dev/null
lab destroy w3
check "nothing differs afterwards" wait_until 60 ctl plan
finish
