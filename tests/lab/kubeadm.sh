#!/bin/bash
# kubeadm.sh: builds the lab's cluster with kubeadm, scripted in its best order. It shows that the lab works, and benchmarks compare with it.
# usage: kubeadm.sh prepare | cluster | stage | upgrade | reset | all
#        With SWAP_ETCD=1 in the environment an upgrade swaps etcd, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./lib.sh
. ./release.sh
. ./hosts.sh

read_record
ETCD_TO=$ETCD_TAG; [ -z "${SWAP_ETCD:-}" ] || ETCD_TO=$ETCD_NEXT
# The lab may have no image of CoreDNS, and pods that never start delay drains.
NO_ADD_ON=; [ -n "$COREDNS_TAG" ] || NO_ADD_ON=,addon/coredns
TOKEN=abcdef.0123456789abcdef
CERT_KEY=$(printf '%064d' 7)
JOIN_TIMEOUT=300

mapfile -t MASTERS < <(list_hosts | awk '$1 ~ /^m[0-9]+$/ {print $1}')
mapfile -t WORKERS < <(list_hosts | awk '$1 ~ /^w[0-9]+$/ {print $1}')
mapfile -t NODES < <(printf '%s\n' "${MASTERS[@]}" "${WORKERS[@]}" | grep .)
[ ${#MASTERS[@]} -gt 0 ] || die "no masters: run lab up first"
LB=$(container lb1)
if [ -n "$LB" ]; then ENDPOINT=$(host_ip lb1):6443; else ENDPOINT=$(host_ip "${MASTERS[0]}"):6443; fi

declare -A ID IP
for h in "${NODES[@]}"; do ID[$h]=$(must_have "$h"); IP[$h]=$(host_ip "$h"); done

on()     { docker exec -i "${ID[$1]}" "${@:2}"; }
now()    { date +%s.%N; }
since()  { awk -v a="$1" -v b="$(now)" 'BEGIN {printf "%.1f", b - a}'; }
# all COMMAND HOST...: runs the command for all hosts at the same time
all()    { local c=$1 h; shift; for h in "$@"; do echo "$h"; done | parallel_hosts "$c"; }

prepare_node() {
    on "$1" bash -s -- "$VERSION" "$PAUSE_TAG" "$SITE_IP" "$REGISTRY" <kubeadm/node.sh
    local images="^pause:|^coredns:|^kube-proxy:$VERSION"
    case $1 in m*) images="^pause:|^etcd:|^coredns:|:$VERSION" ;; esac
    preload_host "$1" - "$images"
}

prepare_lb() {
    { cat <<-END
	global
	    log stdout format raw local0
	    maxconn 2000
	defaults
	    mode tcp
	    timeout connect 2s
	    timeout client 1h
	    timeout server 1h
	frontend kubernetes
	    bind :6443
	    default_backend masters
	backend masters
	    option httpchk GET /readyz
	    default-server inter 500ms fall 2 rise 1 check check-ssl verify none
	END
      for h in "${MASTERS[@]}"; do echo "    server $h ${IP[$h]}:6443"; done; } |
        docker exec -i "$LB" sh -c 'export DEBIAN_FRONTEND=noninteractive; apt-get -qq update &&
            apt-get -qq install -y --no-install-recommends haproxy >/dev/null &&
            cat >/etc/haproxy/haproxy.cfg && haproxy -c -q -f /etc/haproxy/haproxy.cfg && systemctl restart haproxy'
}

prepare() {
    local t; t=$(now)
    [ -z "$LB" ] || prepare_lb
    all prepare_node "${NODES[@]}"
    say "prepare: $(since "$t") s"
}

# config_init HOST, config_join HOST [cp]: print the configuration of kubeadm; with a second argument the host joins as a control plane
config_init() {
    cat <<END
apiVersion: kubeadm.k8s.io/$KUBEADM_API
kind: InitConfiguration
bootstrapTokens: [{token: $TOKEN, ttl: 24h0m0s}]
certificateKey: "$CERT_KEY"
localAPIEndpoint: {advertiseAddress: ${IP[$1]}, bindPort: 6443}
nodeRegistration: {criSocket: $CRI_SOCKET, name: $1}
---
apiVersion: kubeadm.k8s.io/$KUBEADM_API
kind: ClusterConfiguration
kubernetesVersion: $VERSION
imageRepository: $REGISTRY
controlPlaneEndpoint: "$ENDPOINT"
etcd: {local: {imageTag: "$ETCD_TAG"}}
${COREDNS_TAG:+dns: {imageTag: \"$COREDNS_TAG\"\}}
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
${FAIL_CGROUP_V1:+failCgroupV1: $FAIL_CGROUP_V1}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
conntrack: {maxPerCore: 0}
END
}
config_join() {
    cat <<END
apiVersion: kubeadm.k8s.io/$KUBEADM_API
kind: JoinConfiguration
discovery: {bootstrapToken: {apiServerEndpoint: "$ENDPOINT", token: $TOKEN, caCertHashes: ["$CA_HASH"]}}
nodeRegistration: {criSocket: $CRI_SOCKET, name: $1}
END
    [ -z "${2:-}" ] || echo "controlPlane: {localAPIEndpoint: {advertiseAddress: ${IP[$1]}, bindPort: 6443}, certificateKey: \"$CERT_KEY\"}"
}

# Preflight is skipped everywhere, because it needs crictl, which Debian does not have.
# kubeadm_run HOST VERB OPTION...: runs kubeadm with the configuration on stdin; the output stays on the host in /var/log/kubeadm.log
kubeadm_run() {
    on "$1" sh -c 'cat >/etc/kubeadm.yaml && exec kubeadm "$@" --config /etc/kubeadm.yaml >/var/log/kubeadm.log 2>&1' sh "${@:2}" ||
        { on "$1" tail -20 /var/log/kubeadm.log >&2; die "kubeadm $2 failed on $1"; }
}
join_worker() { config_join "$1" | kubeadm_run "$1" join --skip-phases=preflight; say "$1 joined at $(since "$T0") s"; }
join_master() { config_join "$1" cp | kubeadm_run "$1" join --skip-phases=preflight; say "$1 joined at $(since "$T0") s"; }

# place_cni NUMBER HOST: configures a bridge with its own pod subnet on the host (kubeadm installs no network)
place_cni() {
    on "$2" sh -c 'mkdir -p /etc/cni/net.d && cat >/etc/cni/net.d/10-bridge.conflist' <<END
{"cniVersion": "0.4.0", "name": "bridge", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.$1.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
}

all_ready() {
    local n
    n=$(on "${MASTERS[0]}" kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes --no-headers 2>/dev/null | grep -cw Ready)
    [ "$n" = "${#NODES[@]}" ]
}
all_vote() {
    local n
    n=$(on "${MASTERS[0]}" ctr -n k8s.io tasks exec --exec-id "vote$RANDOM$RANDOM" "$ETCD_TASK" etcdctl --endpoints https://127.0.0.1:2379 \
        --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt \
        --key /etc/kubernetes/pki/etcd/server.key member list 2>/dev/null | grep -c 'started.*false$')
    [ "$n" = "${#MASTERS[@]}" ]
}
etcd_task() {
    on "${MASTERS[0]}" ctr -n k8s.io containers ls "labels.\"io.kubernetes.container.name\"==etcd" -q | head -1
}

cluster() {
    local n=0 h m pids=()
    for h in "${NODES[@]}"; do n=$((n + 1)); place_cni $n "$h"; done
    T0=$(now)
    config_init "${MASTERS[0]}" | kubeadm_run "${MASTERS[0]}" init --upload-certs --skip-phases=preflight$NO_ADD_ON
    say "${MASTERS[0]} initialised at $(since "$T0") s"
    CA_HASH=sha256:$(on "${MASTERS[0]}" sh -c \
        'openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der | sha256sum | cut -d" " -f1')
    for h in "${WORKERS[@]}"; do join_worker "$h" & pids+=($!); done
    for m in "${MASTERS[@]:1}"; do join_master "$m"; done
    for h in "${pids[@]}"; do wait "$h" || die "a worker did not join"; done
    say "all joined at $(since "$T0") s"
    wait_for "$JOIN_TIMEOUT" "every node Ready" all_ready
    say "${#NODES[@]} nodes Ready at $(since "$T0") s"
    ETCD_TASK=$(etcd_task)
    wait_for "$JOIN_TIMEOUT" "every etcd member votes" all_vote
    say "cluster: ${#NODES[@]} nodes Ready, ${#MASTERS[@]} etcd members vote: $(since "$T0") s"
}

# stage_node HOST: brings the next release's images and programs to the host before an upgrade; this is not measured
stage_node() {
    local images="^kube-proxy:$NEXT"
    on "$1" bash -s -- "$NEXT" "$SITE_IP" <kubeadm/stage.sh
    case $1 in m*) images="^etcd:$ETCD_TO|:$NEXT" ;; esac
    preload_host "$1" - "$images"
}
stage() {
    local t; t=$(now)
    all stage_node "${NODES[@]}"
    say "stage: $(since "$t") s"
}

ms_since() { awk -v a="$1" -v b="$(now)" 'BEGIN {printf "%d", 1000 * (b - a)}'; }
# admin WORD...: runs kubectl through the cluster's load-balanced endpoint, so that it works while one master is being changed
admin() { on "${MASTERS[0]}" /opt/next/kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
# next_kubeadm HOST VERB...: runs the kubeadm of the next release; its output is added to the host's log
next_kubeadm() {
    on "$1" sh -c 'exec /opt/next/kubeadm "$@" >>/var/log/kubeadm.log 2>&1' sh "${@:2}" ||
        { on "$1" tail -20 /var/log/kubeadm.log >&2; die "kubeadm ${*:2} failed on $1"; }
}
# runs_next HOST: succeeds if the API server reports the new version, and the running containers of each component have the new image and no other
runs_next() {
    local c want=()
    for c in kube-apiserver kube-controller-manager kube-scheduler etcd; do want+=("$REGISTRY/$c:$(image_tag $c)"); done
    on "$1" bash -s -- "${IP[$1]}" "$NEXT" "${want[@]}" <<-'SH'
	api=https://$1:6443
	curl -sk "$api/version" | grep -q "\"gitVersion\": \"$2\"" || exit 1
	[ "$(curl -sk -o /dev/null -w '%{http_code}' "$api/readyz")" = 200 ] || exit 1
	running=$(ctr -n k8s.io tasks ls | awk '$3 == "RUNNING" {print $1}')
	images=$(ctr -n k8s.io containers ls | grep -wF "$running" | awk '{print $2}')
	for image in "${@:3}"; do
	    [ "$(grep -F "${image%:*}:" <<<"$images")" = "$image" ] || exit 1
	done
	SH
}
image_tag() { if [ "$1" = etcd ]; then echo "$ETCD_TO"; else echo "$NEXT"; fi; }
at_next() { [ "$(admin get node "$1" -o 'jsonpath={.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type=="Ready")].status}')" = "$NEXT True" ]; }

# kubelet_to_next HOST: drains the node, replaces the kubelet, and waits until the node is Ready
kubelet_to_next() {
    admin drain "$1" --ignore-daemonsets --delete-emptydir-data --force >/dev/null 2>&1 || die "the drain of $1 failed"
    on "$1" sh -c 'mv /opt/next/kubelet /usr/local/bin/kubelet && systemctl restart kubelet'
    wait_for "$JOIN_TIMEOUT" "$1 is Ready at $NEXT" at_next "$1"
    admin uncordon "$1" >/dev/null
    say "$1 Ready at $NEXT at $(since "$T0") s"
}

# Images and programs are in place before. Masters are upgraded one after the other, as kubeadm requires, then the kubelets, also one by one.
upgrade() {
    local m h control whole
    # kubeadm reads the tag of etcd from this ConfigMap.
    admin -n kube-system get configmap kubeadm-config -o yaml | sed "s/imageTag: $ETCD_TAG/imageTag: $ETCD_TO/" | admin apply -f - >/dev/null 2>&1
    T0=$(now)
    next_kubeadm "${MASTERS[0]}" upgrade apply "$NEXT" --yes --ignore-preflight-errors=all
    say "${MASTERS[0]} upgraded at $(since "$T0") s"
    for m in "${MASTERS[@]:1}"; do
        next_kubeadm "$m" upgrade node --skip-phases=preflight
        say "$m upgraded at $(since "$T0") s"
    done
    for m in "${MASTERS[@]}"; do wait_for "$JOIN_TIMEOUT" "$m runs $NEXT" runs_next "$m"; done
    control=$(ms_since "$T0")
    say "control plane at $NEXT at $(since "$T0") s"
    for h in "${WORKERS[@]}"; do next_kubeadm "$h" upgrade node --skip-phases=preflight; done
    for h in "${NODES[@]}"; do kubelet_to_next "$h"; done
    whole=$(ms_since "$T0")
    [ "$(admin get nodes --no-headers | awk -v v="$NEXT" '$2 == "Ready" && $5 == v' | wc -l)" = "${#NODES[@]}" ] || die "not every node is Ready at $NEXT"
    say "${#NODES[@]} nodes Ready at $NEXT at $(since "$T0") s"
    echo "control-plane-ms $control"
    echo "whole-ms $whole"
}

reset_node() { on "$1" bash -s -- "$RESET_SKIPS" "$CRI_SOCKET" <kubeadm/reset.sh; }
reset() {
    local t; t=$(now)
    all reset_node "${NODES[@]}"
    say "reset: $(since "$t") s"
}

case ${1:-} in
    prepare) prepare ;;
    cluster) cluster ;;
    stage)   stage ;;
    upgrade) upgrade ;;
    reset)   reset ;;
    all)     prepare; cluster ;;
    *)       sed -n 's/^# usage: /usage: /p; s/^#        With/       With/p' kubeadm.sh >&2; exit 2 ;;
esac
