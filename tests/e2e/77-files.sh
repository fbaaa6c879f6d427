#!/bin/bash
# Files for control planes are brought to a running cluster and changed there: an audit policy, a configuration of the scheduler, the CA of an OpenID
# Connect issuer and a secret file. A file that changes replaces the component that sees it, one control plane at a time, without a failed request; a
# file that the component refuses is rolled back with its content.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster, without the files in its inventory.
. "$(dirname "$0")/lib.sh"
needs_cluster
# A section `controlPlane` that an earlier scenario left is taken out.
good=$(sed '/^controlPlane:/,/^[^ ]/{/^controlPlane:/d; /^ /d}' "$CLUSTERCTL_INVENTORY")
policy=$WORK/audit-policy.yaml scheduler=$WORK/scheduler.yaml ca=$WORK/oidc-ca.crt webhook=$WORK/webhook.token
at=/etc/kubernetes

# audit_level LEVEL: writes the audit policy, which records requests for ConfigMaps at this level and no others
audit_level() {
    cat >"$policy" <<YAML
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: $1
  resources: [{ group: "", resources: [configmaps] }]
- level: None
YAML
}
# scheduler_profile NAME: writes a configuration of the scheduler with a second profile of this name
scheduler_profile() {
    cat >"$scheduler" <<YAML
apiVersion: kubescheduler.config.k8s.io/v1beta1
kind: KubeSchedulerConfiguration
clientConnection: { kubeconfig: /etc/kubernetes/scheduler.conf }
leaderElection: { leaderElect: true }
healthzBindAddress: 127.0.0.1:10251
metricsBindAddress: 127.0.0.1:10251
profiles:
- schedulerName: default-scheduler
- schedulerName: $1
YAML
}
# new_ca: writes a new certificate authority
new_ca() { openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj "/CN=issuer $RANDOM" -days 2 -out "$ca" 2>/dev/null; }
with_files() {
    printf '%s\n' "$good"
    cat <<YAML
controlPlane:
  files:
    - { path: $at/audit/policy.yaml, file: audit-policy.yaml }
    - { path: $at/audit/webhook.token, file: webhook.token, secret: true }
    - { path: $at/scheduler/config.yaml, file: scheduler.yaml, mode: "0600" }
    - { path: $at/oidc/ca.crt, file: oidc-ca.crt }
    - path: $at/oidc/notes
      content: |
        The issuer is not in this lab.
  apiServer:
    extraArgs:
      audit-policy-file: $at/audit/policy.yaml
      audit-log-path: /var/log/kubernetes/audit/audit.log
      oidc-issuer-url: https://issuer.example.org
      oidc-client-id: kubernetes
      oidc-ca-file: $at/oidc/ca.crt
    extraVolumes:
      - { name: audit, hostPath: $at/audit, mountPath: $at/audit, readOnly: true, pathType: Directory }
      - { name: audit-log, hostPath: /var/log/kubernetes/audit, mountPath: /var/log/kubernetes/audit, pathType: DirectoryOrCreate }
      - { name: oidc, hostPath: $at/oidc, mountPath: $at/oidc, readOnly: true, pathType: Directory }
  scheduler:
    extraArgs: { config: $at/scheduler/config.yaml }
    extraVolumes:
      - { name: config, hostPath: $at/scheduler/config.yaml, mountPath: $at/scheduler/config.yaml, readOnly: true, pathType: File }
YAML
}
# applied WHAT: runs apply while the probes send requests, and checks that no request failed and that nothing is left to do
applied() {
    local start status
    probes_begin
    start=$(millis)
    tried apply; status=$?
    check "$1: apply" test $status = 0
    [ $status = 0 ] || said "$(cat "$WORK/tried.log")"
    say "$1: apply took $(($(millis) - start)) ms"
    probes_end
    unnoticed "$1"
    expect "$1: nothing is left to do" 0 ctl plan
}
# manifests NAME: prints when the manifest of this static pod was written on each control plane, as HOST:INODE:TIME. A process can also be another one
# because it lost its leadership on a busy machine.
manifests() { local m; for m in "${MASTERS[@]}"; do on "$m" stat -c "$m:%i:%Y" "/etc/kubernetes/manifests/$1.yaml"; done | xargs; }
# all_new NAME WRITTEN: succeeds if every manifest of this static pod was written after `manifests` printed WRITTEN
all_new() { local m; for m in $(manifests "$1"); do case " $2 " in *" $m "*) echo "$m is the previous one"; return 1 ;; esac; done; }
# all_have PATH FILE: succeeds if every control plane has the content of FILE at PATH
all_have() { local m; for m in "${MASTERS[@]}"; do on "$m" cat "$1" | cmp -s - "$2" || { echo "$m differs"; return 1; }; done; }
# audited HOST LEVEL NAME: writes a ConfigMap through the API server of the host, and succeeds if its audit log has the request at this level
audited() {
    kubectl --server "https://$SUBNET.1${1#m}:6443" create configmap "$3" --from-literal a=b >/dev/null 2>&1
    on "$1" grep "\"name\":\"$3\"" /var/log/kubernetes/audit/audit.log | grep -q "\"level\":\"$2\""
}
# placed NAME: creates a pod for the scheduler's profile of this name, and succeeds when a node was chosen for it
placed() {
    kubectl run "by-$1" --image="$AGNHOST" --restart=Never --overrides="{\"spec\":{\"schedulerName\":\"$1\"}}" --command -- sleep 1 >/dev/null
    wait_until 30 sh -c "kubectl get pod by-$1 -o jsonpath='{.spec.nodeName}' | grep -q ."
}
# copies HOST: prints the number of copies of files on the host
copies() { on "$1" sh -c 'ls /var/lib/clusterctl/files | wc -l'; }

audit_level Metadata; scheduler_profile second; new_ca
head -c 24 /dev/urandom | base64 >"$webhook"; chmod 600 "$webhook"
with_files >"$CLUSTERCTL_INVENTORY"
mv "$policy" "$policy.away"
expect "an inventory that names a file that does not exist is refused" 3 ctl validate
mv "$policy.away" "$policy"
expect "the inventory is valid" 0 ctl validate
tried plan; status=$?
check "the plan has differences" test $status = 6
check "it shows the content of the policy" output_has '^ *+- level: Metadata'
check "it shows the secret file as a digest" output_has 'new /etc/kubernetes/audit/webhook.token (600, sha256:'
check "it does not show the secret" sh -c "! grep -qFf '$webhook' '$WORK/tried.log'"

applied "the files are new"
for m in "${MASTERS[@]}"; do
    check "the audit log of $m has a request" wait_until 20 audited "$m" Metadata "first-$m"
    check "only root can read the secret file of $m" test "$(on "$m" stat -c %a/%u $at/audit/webhook.token)" = 600/0
    check "$m has a copy of each file" test "$(copies "$m")" = 5
done
check "every control plane has the policy" all_have $at/audit/policy.yaml "$policy"
check "the scheduler has the second profile" placed second
check "a port without TLS is open on the loopback only" sh -c "! on m1 ss -Hltn | grep -E ':(10251|10252|8080) ' | grep -v 127.0.0.1:10251"
check "the API server has the CA" on m1 sh -c "tr '\\0' '\\n' </proc/\$(pgrep -xo kube-apiserver)/cmdline | grep -qx -- --oidc-ca-file=$at/oidc/ca.crt"
check "kubeadm's configuration has the volumes" sh -c "kubectl -n kube-system get cm kubeadm-config -o yaml | grep -q 'hostPath: $at/audit'"

# The API server reads its audit policy only when it starts.
before=$(manifests kube-scheduler)
audit_level RequestResponse
applied "the audit policy changes"
for m in "${MASTERS[@]}"; do check "the audit log of $m has the new level" wait_until 20 audited "$m" RequestResponse "second-$m"; done
check "the schedulers were not replaced" test "$(manifests kube-scheduler)" = "$before"
check "no copy of the previous policy is left" test "$(copies m1)" = 5

before=$(manifests kube-apiserver)
scheduler_profile third
applied "the scheduler's configuration changes"
check "the scheduler has the new profile" placed third
check "the API servers were not replaced" test "$(manifests kube-apiserver)" = "$before"

new_ca
applied "the CA of the issuer changes"
check "every control plane has the new CA" all_have $at/oidc/ca.crt "$ca"
check "all API servers were replaced" all_new kube-apiserver "$before"

# The API server does not start with this policy. Its previous manifest leads to the previous content.
kept=$(cat "$policy")
echo 'kind: Nonsense' >"$policy"
probes_begin
start=$(millis)
expect "a policy that the API server refuses makes the run fail" 1 tried apply
say "found and rolled back in $(($(millis) - start)) ms"
check "the previous manifest serves" output_has 'the previous manifest of kube-apiserver is back and serves'
probes_end
unnoticed "a refused policy"
for m in "${MASTERS[@]}"; do check "the API server of $m still has the previous policy" wait_until 20 audited "$m" RequestResponse "third-$m"; done
printf '%s\n' "$kept" >"$policy"
check "the previous policy is put back" ctl apply
expect "nothing is left to do" 0 ctl plan

before=$(manifests kube-apiserver)
on m2 rm $at/audit/policy.yaml
on m3 chmod 0644 $at/audit/webhook.token
expect "a deleted file and a changed mode are differences" 6 tried plan
check "the plan names the file" output_has "m2: write $at/audit/policy.yaml"
check "apply puts them right" ctl apply
check "every control plane has the policy" all_have $at/audit/policy.yaml "$policy"
check "no API server was replaced for that" test "$(manifests kube-apiserver)" = "$before"

printf '%s\n' "$good" >"$CLUSTERCTL_INVENTORY"
check "the files leave the inventory" ctl apply
check "no copy is left" test "$(copies m1)" = 0
check "the files themselves stay" on m1 test -e $at/audit/policy.yaml
expect "nothing is left to do" 0 ctl plan
kubectl delete pod by-second by-third --wait=false >/dev/null
kubectl delete configmap $(for n in first second third; do for m in "${MASTERS[@]}"; do echo "$n-$m"; done; done) --ignore-not-found >/dev/null
finish
