#!/bin/bash
# A cluster has its images from a registry with a private CA and a password: a wrong password is reported as what it is, the right one is in no argv,
# environment, log, plan and readable file, and a new one is rolled out without a restart of containerd.
# Needs: nothing; makes its own hosts. Leaves: no hosts.
. "$(dirname "$0")/lib.sh"
registry=$SUBNET.2:5443 tls=$WORK/registry password=$WORK/registry-password
site=$NET-site
samples=$WORK/registry.samples secrets=$WORK/registry.secrets
rm -rf "$tls"
mkdir -p "$tls"
: >"$secrets"
: >"$samples"
lab down >/dev/null 2>&1
check "one plain host starts" lab up --masters 1 --workers 0 --lbs 0

# new_password: writes a new password for the user `puller`, and adds it to $secrets in the two forms in which it could leak
new_password() {
    (umask 077; printf 'CANARY%s\n' "$(head -c 12 /dev/urandom | base64 | tr '+/' 'xy')" >"$password")
    cat "$password" >>"$secrets"
    printf 'puller:%s' "$(cat "$password")" | base64 -w 0 | cut -c 1-28 >>"$secrets"
}
# new_ca: makes a CA, and a certificate of the registry that the CA has signed
new_ca() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$tls/ca.key" -subj "/CN=registry CA $RANDOM" -days 2 -out "$WORK/registry-ca.crt" 2>/dev/null
    openssl req -newkey rsa:2048 -nodes -keyout "$tls/registry.key" -subj "/CN=registry" -out "$tls/registry.csr" 2>/dev/null
    printf 'subjectAltName=IP:%s\n' "$SUBNET.2" >"$tls/names"
    openssl x509 -req -in "$tls/registry.csr" -CA "$WORK/registry-ca.crt" -CAkey "$tls/ca.key" -CAcreateserial -extfile "$tls/names" -days 2 \
        -out "$tls/registry.crt" 2>/dev/null
}
# hashed: prints a line of htpasswd for the password on the input
hashed() {
    perl -e 'my $p = <STDIN>; chomp $p; my @c = ("a".."z", 0..9); my $s = join "", map { $c[rand @c] } 1..21;
        print "puller:", crypt($p, "\$2b\$05\$${s}u"), "\n"'
}
# answers STATUS: succeeds if the registry answers a request without a password with this HTTP status
answers() { [ "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$WORK/registry-ca.crt" "https://$registry/v2/")" = "$1" ]; }
# serve: starts the registry anew, with the present certificate and the present password, over the images of the lab
serve() {
    hashed <"$password" >"$tls/htpasswd"
    cat >"$tls/registry.yml" <<YAML
version: 0.1
log: { level: warn, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: /srv/registry } }
auth: { htpasswd: { realm: lab, path: /etc/lab/private/htpasswd } }
http: { addr: ":5443", tls: { certificate: /etc/lab/private/registry.crt, key: /etc/lab/private/registry.key } }
YAML
    docker exec "$site" sh -c '[ ! -e /run/private.pid ] || kill "$(cat /run/private.pid)"; rm -rf /etc/lab/private'
    wait_until 10 answers 000 || return 1
    docker cp "$tls" "$site:/etc/lab/private" >/dev/null
    docker exec -d "$site" sh -c 'echo $$ >/run/private.pid; exec docker-registry serve /etc/lab/private/registry.yml'
    wait_until 20 answers 401
}
# with_registries [LINES]: writes the inventory, with these lines in addition to the private registry
with_registries() {
    lab_inventory single.yaml
    sed -i "s|^  imageRepository: .*|  imageRepository: $registry|" "$CLUSTERCTL_INVENTORY"
    { sed '/^  registryMirrors:/q' "$CLUSTERCTL_INVENTORY"
      printf '    "%s":\n      - url: https://%s\n        caFile: registry-ca.crt\n' "$registry" "$registry"
      printf '        username: puller\n        passwordFile: registry-password\n        headers: { X-Lab: "yes" }\n%s' "${1:-}"
      sed '1,/^  registryMirrors:/d' "$CLUSTERCTL_INVENTORY"; } >"$WORK/with.yaml"
    mv "$WORK/with.yaml" "$CLUSTERCTL_INVENTORY"
    without_pending_pods
}
# sampled COMMAND...: runs the command while the command lines and environments of all processes of this machine, lab hosts included, are read again
# and again; lines with a part of a secret are written to $samples
sample() { cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -aFf "$secrets" >>"$samples"; }
sampled() {
    ( trap 'exit 0' TERM; while :; do sample; done ) &
    local sampler=$! status
    "$@"; status=$?
    kill $sampler 2>/dev/null; wait $sampler 2>/dev/null
    return $status
}
runtime() { on m1 systemctl show -p MainPID --value containerd; }
toml=/etc/containerd/certs.d/$registry/hosts.toml

new_ca; new_password
check "a registry with a private CA and a password serves the images" serve
with_registries '    gone.example: [{ url: "https://gone.example", caFile: registry-ca.crt }]
'
mv "$password" "$password.away"
mv "$WORK/registry-ca.crt" "$WORK/registry-ca.away"
expect "an inventory whose files do not exist is refused" 3 tried validate
check "the missing password is named" output_has 'passwordFile: cannot read'
check "the missing CA is named, too" output_has 'caFile: cannot read'
mv "$WORK/registry-ca.away" "$WORK/registry-ca.crt"
(umask 077; echo wrong-password >"$password")
expect "the inventory is valid" 0 ctl validate
# Without curl, as on a host that was never prepared, the registry is first asked by the pull.
on m1 mv /usr/bin/curl /usr/bin/curl.away
expect "a wrong password makes the run fail" 1 tried init
check "the cause is the answer of the registry" output_has '401 Unauthorized'
on m1 mv /usr/bin/curl.away /usr/bin/curl
expect "with curl, the run is refused before it changes anything" 4 tried init
check "the refusal has the cause" output_has 'the registry refuses the user or the password (HTTP status 401)'
openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj "/CN=another CA" -days 2 -out "$tls/other.crt" 2>/dev/null
sed "s|caFile: registry-ca.crt|caFile: registry/other.crt|" "$CLUSTERCTL_INVENTORY" >"$WORK/other.yaml"
mv "$password.away" "$password"
expect "a wrong CA is refused as well" 4 tried -i "$WORK/other.yaml" init
check "the refusal names the certificate" output_has 'the certificate of the server is signed neither'

sampled env PROBE="$(head -n 1 "$secrets")" sleep 1
check "the samples would show a password in an environment" test -s "$samples"
: >"$samples"
start=$(millis)
init() { ctl -vv --log-file "$WORK/registry.log" --output json init >"$WORK/registry.out" 2>"$WORK/registry.err"; }
check "a cluster is made with the right password" sampled init
say "init of one node from a private registry: $(($(millis) - start)) ms"
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "its images come from the registry" sh -c "on m1 ctr -n k8s.io images ls -q | grep -qx '$registry/kube-apiserver:$VERSION'"
expect "nothing is left to do" 0 ctl plan
# The kubelet pulls this image through containerd, without a Secret.
kubectl run private --image="$registry/agnhost:$AGNHOST_TAG" --restart=Never --command -- sleep 600 >/dev/null
check "a pod without an imagePullSecret runs an image of the registry" \
    wait_until 60 sh -c "kubectl get pod private -o jsonpath='{.status.phase}' | grep -qx Running"
check "only root can read the file with the password" test "$(on m1 stat -c %a/%u "$toml")" = 600/0
check "everyone can read the CA" test "$(on m1 stat -c %a "${toml%/*}/ca-1.crt")" = 644

pid=$(runtime)
new_password
check "the registry has another password" serve
check "the old one is refused" output_has "401 Unauthorized" \
    on m1 ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d "$registry/pause:$PAUSE_TAG"
expect "the new password is a difference" 6 tried plan
check "the plan shows the file as a digest" output_has "changed $toml (sha256:"
on m1 ctr -n k8s.io images rm --sync "$registry/agnhost:$AGNHOST_TAG" >/dev/null
apply() { ctl -vv --log-file "$WORK/registry2.log" --output json apply >"$WORK/registry2.out" 2>"$WORK/registry2.err"; }
check "apply brings the new password" sampled apply
check "containerd was not restarted" test "$(runtime)" = "$pid"
check "an image is pulled with the new password" on m1 ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d "$registry/agnhost:$AGNHOST_TAG"
new_ca
check "the registry has a certificate of another CA" serve
check "apply brings the new CA" ctl apply
check "an image is pulled with the new CA" on m1 ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d "$registry/pause:$PAUSE_TAG"

check "there are secrets to look for" test "$(wc -l <"$secrets")" = 4
check "no password was in an argv or environment" test ! -s "$samples"
for f in tried.log registry.log registry.out registry.err registry2.log registry2.out registry2.err; do
    check "no password is in $f" sh -c "! grep -qFf '$secrets' '$WORK/$f'"
done
check "no password is shown by inventory show" sh -c "! ctl inventory show | grep -qFf '$secrets'"
docker cp "$secrets" "$NET-m1:/root/secrets" >/dev/null
check "no other user can read a password on the host" \
    on m1 sh -c '! find /etc /var/lib/clusterctl /var/log /tmp /run -xdev -type f -perm /o=r -exec grep -lFf /root/secrets {} + 2>/dev/null | grep .'
check "no password is in the journal of the host" sh -c "! on m1 journalctl --no-pager -o cat | grep -qFf '$secrets'"
on m1 rm /root/secrets

check "a registry with a CA is there" on m1 test -e /etc/containerd/certs.d/gone.example/ca-1.crt
with_registries
check "it leaves the inventory" ctl apply
check "it has left the host" on m1 test ! -e /etc/containerd/certs.d/gone.example
check "reset" ctl reset --yes
check "reset has removed the registries" on m1 test ! -e /etc/containerd/certs.d
lab down >/dev/null 2>&1
finish
