#!/bin/bash
# Certificates have expired: all of them on every host, as on hosts that were off for a year; those of one master; that of one worker's kubelet.
# `certs renew` brings the cluster back over SSH, and renews the certificates of a healthy cluster without a failed request.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
pki=/etc/kubernetes/pki
current=/var/lib/kubelet/pki/kubelet-client-current.pem

# expire_master HOST: replaces every certificate of this master, also those in kubeconfigs and that of the kubelet, by one that the same authority made
# for the same key and that expired yesterday
expire_master() {
    on "$1" sh -es "$pki" "$(on "$1" readlink -f $current)" <<'SH'
cd /run
# expire CRT KEY CA: replaces this certificate
expire() {
    openssl x509 -x509toreq -in "$1" -signkey "$2" -copy_extensions copyall -out csr
    openssl x509 -req -in csr -CA "$3.crt" -CAkey "$3.key" -days -1 -copy_extensions copyall -out crt
    cat crt >"$1"
}
for name in apiserver apiserver-kubelet-client; do expire "$1/$name.crt" "$1/$name.key" "$1/ca"; done
expire "$1/front-proxy-client.crt" "$1/front-proxy-client.key" "$1/front-proxy-ca"
for name in apiserver-etcd-client etcd/server etcd/peer etcd/healthcheck-client; do expire "$1/$name.crt" "$1/$name.key" "$1/etcd/ca"; done
field() { sed -n "s/^ *$2: *//p" "$1" | tr -d "\"'" | base64 -d; }
for conf in admin super-admin controller-manager scheduler; do
    conf=/etc/kubernetes/$conf.conf
    [ -e "$conf" ] || continue
    field "$conf" client-certificate-data >c.crt
    field "$conf" client-key-data >c.key
    expire c.crt c.key "$1/ca"
    sed -i "s|^\( *client-certificate-data:\).*|\1 $(base64 -w0 <c.crt)|" "$conf"
done
openssl x509 -in "$2" -out c.crt
openssl pkey -in "$2" -out c.key
expire c.crt c.key "$1/ca"
cat c.crt c.key >"$2"
rm -f c.crt c.key csr crt
SH
}
# expire_worker HOST: does the same with the certificate of the kubelet of this worker; the key of the CA stays on m1
expire_worker() {
    on "$1" openssl x509 -x509toreq -in $current -signkey $current -copy_extensions copyall 2>/dev/null |
        on m1 openssl x509 -req -CA $pki/ca.crt -CAkey $pki/ca.key -days -1 -copy_extensions copyall 2>/dev/null |
        on "$1" sh -ec "cat >/run/crt; openssl pkey -in $current >>/run/crt; cat /run/crt >\$(readlink -f $current); rm /run/crt"
}
# expired HOST FILE: succeeds if this certificate has expired; valid HOST FILE: succeeds if it has not
expired() { ! on "$1" openssl x509 -noout -checkend 0 -in "$2" >/dev/null; }
valid() { on "$1" openssl x509 -noout -checkend 0 -in "$2"; }
rebooted() { local h; for h in "$@"; do lab kill "$h"; lab start "$h"; done; }
# refuses_to_start HOST: succeeds if the kubelet of this host has ended because of its certificate
refuses_to_start() { on "$1" journalctl -u kubelet --no-pager -n 60 | grep -q 'certificate.*is expired\|bootstrap-kubelet.conf: no such file'; }
not_said() { ! grep -e "$1" "$WORK/tried.log"; }
away() { ! kubectl --request-timeout 3s get --raw /readyz >/dev/null 2>&1; }
ready_within() { wait_until "$1" nodes_ready 5; }

fault 16 "all certificates have expired on every host, and every host was rebooted"
# This fault itself makes all etcd members unavailable, so away.py, which counts that as a violation of I3, is terminated before.
check "the members are watched" wait_until 20 test -e "$NOTES/away.log"
kill "$AWAY"; wait "$AWAY"; AWAY=''
for m in "${MASTERS[@]}"; do check "the certificates of $m expire" expire_master "$m"; done
for w in w1 w2; do check "the certificate of the kubelet of $w expires" expire_worker "$w"; done
check "the API server's certificate has expired" expired m2 $pki/apiserver.crt
check "the kubelet's certificate of a worker has expired" expired w2 $current
rebooted "${NODES[@]}"
for h in "${NODES[@]}"; do check "the kubelet of $h does not start" wait_until 60 refuses_to_start "$h"; done
check "the API is away" away
for verb in apply "upgrade --version $VERSION" "drain w2 --timeout 5s"; do
    # shellcheck disable=SC2086
    expect "$verb is refused" 4 tried $verb
    check "I9: $verb: the refusal names the cause" refuses - certificates-expired
    check "I9: $verb: the hint names the command" output_has 'hint: .*clusterctl certs renew'
done
expect "certs list works without the API" 1 tried certs list --within 90d
check "it names what renews them" output_has 'clusterctl certs renew'
expect "a dry run shows the renewal" 0 tried certs renew --dry-run
check "it shows the certificates of workers" output_has 'w2: write .*kubelet-client-initial.pem'
check "it shows no key" not_said 'PRIVATE KEY'
check "it changes nothing" expired m1 $pki/apiserver.crt
start=$(millis)
expect "one command renews them" 0 tried certs renew --yes
took=$(($(millis) - start))
check "five nodes are Ready" ready_within 60
say "all certificates expired: the control plane was back and five nodes were Ready after $took ms ($(($(millis) - start)) ms with the check)"
check "that took less than 2 minutes" test $took -lt 120000
check "the operator is told about older kubeconfigs" output_has 'clusterctl kubeconfig --merge'
check "the API serves with a valid certificate" valid m2 $pki/apiserver.crt
check "a worker's kubelet has a valid certificate" valid w2 $current
expect "a second run has nothing to do" 0 ctl certs renew --yes
check "and says so" output_has 'nothing to do' ctl certs renew --yes
expect "no certificate expires soon" 0 ctl certs list --within 90d
check "every API server serves" wait_until 60 all_serve
recovers
holds

fault 16 "the certificates of one master have expired, and a renewal is killed"
check "the certificates of m2 expire" expire_master m2
rebooted m2
check "its kubelet does not start" wait_until 60 refuses_to_start m2
expect "apply is refused" 4 tried apply
check "I9: the refusal names m2 and the cause" refuses m2 certificates-expired
check "the API answers meanwhile" kubectl --request-timeout 10s get --raw /readyz
begin certs renew --yes
reaches 'm2: write .* \.\.\. [0-9.]+s'
kill -KILL "$RUN"; wait "$RUN" 2>/dev/null; RUN=''
check "I8: no host is locked" wait_until 45 unlocked
expect "the same command goes on" 0 tried certs renew --yes
check "m2 serves" wait_until 60 all_serve
check "its kubelet has a valid certificate" valid m2 $current
recovers
holds

fault 16 "the certificate of one worker's kubelet has expired"
check "the certificate of the kubelet of w2 expires" expire_worker w2
on w2 systemctl restart kubelet
check "the kubelet does not start" wait_until 60 refuses_to_start w2
expect "it is renewed" 0 tried certs renew kubelet --limit w2 --yes
check "only w2 was changed" not_said '^ *m[123]:'
check "it has a valid certificate" valid w2 $current
recovers
holds

fault 16 "all certificates of a healthy cluster are renewed under load"
serial() { on "$1" openssl x509 -noout -serial -in "$2"; }
before=$(serial m1 $pki/apiserver.crt; serial m3 $pki/etcd/peer.crt)
probes_begin
expect "all are renewed" 0 tried certs renew all --older-than 1s --yes
sleep 5
probes_end
unnoticed "a renewal of all certificates"
check "the certificates are others" test "$before" != "$(serial m1 $pki/apiserver.crt; serial m3 $pki/etcd/peer.crt)"
before=$(serial m1 $pki/apiserver.crt)
expect "two of them are renewed by their names" 0 ctl certs renew etcd-server scheduler.conf --older-than 1s --yes
check "no other is" test "$before" = "$(serial m1 $pki/apiserver.crt)"
expect "certificates that are young enough are kept" 0 tried certs renew --older-than 90d --yes
check "nothing is to do then" output_has 'nothing to do'
recovers
holds
finish
