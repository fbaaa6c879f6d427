#!/bin/bash
# What does not belong to clusterctl survives a cluster on the same hosts: Docker with a container that runs, an API server and an etcd of another
# owner, a VPN's link with its address, route and firewall rules, and file systems that are mounted inside the folders of Kubernetes. The cluster is
# made, upgraded and reset among them.
# Needs: nothing; makes its own hosts. Leaves: no hosts.
. "$(dirname "$0")/lib.sh"
lab down >/dev/null 2>&1
check "two plain hosts start" lab up --masters 1 --workers 1 --lbs 0
HOSTS=(m1 w1)
lab_inventory single.yaml
sed -i "s/^    roles: \[control-plane, worker\]/    roles: [control-plane]\n  - { name: w1, address: $SUBNET.21, roles: [worker] }/" "$CLUSTERCTL_INVENTORY"
without_pending_pods

# The folders of Kubernetes in which a file system of another owner is mounted. The kernel of the lab has no NFS; a tmpfs is a mount as well. init
# takes data in DATA for the rest of another cluster; the others do not disturb it. A reset empties or removes DATA and KEPT, and no other folder.
# /var/log/pods is missing, because the kubelet itself empties each folder in it that belongs to no pod.
DATA=(/var/lib/kubelet /var/lib/etcd)
KEPT=(/etc/kubernetes /var/lib/cni /var/lib/clusterctl /var/log/containers /etc/containerd/certs.d)
OTHER=(/opt/cni/bin /etc/cni/net.d /var/lib/containerd /etc/systemd/system /usr/local/bin)
MOUNTED=()
# mounts FOLDER..., unmounts FOLDER...: mounts a file system with one file in each of the folders on all hosts, and unmounts them
mounts() {
    local h
    for h in "${HOSTS[@]}"; do
        on "$h" sh -c 'for d; do mkdir -p "$d/tenant" && mount -t tmpfs tenant "$d/tenant" && echo precious >"$d/tenant/file" || exit 1; done' _ "$@" || return
    done
    MOUNTED+=("$@")
}
unmounts() {
    local h
    for h in "${HOSTS[@]}"; do on "$h" sh -c 'for d; do umount "$d/tenant" && rmdir "$d/tenant" || exit 1; done' _ "$@" || return; done
    MOUNTED=("${OTHER[@]}")
}
mounts_live() { on "$1" sh -c 'for d; do [ "$(cat "$d/tenant/file")" = precious ] || { echo "$d/tenant"; exit 1; }; done' _ "${MOUNTED[@]}"; }

# docker_runs HOST: installs Docker, and runs a container with a published port
docker_runs() {
    on "$1" sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends docker.io' || return
    # These three settings are those of a container as a host: no overlay file system on another one, no privilege for OOM scores, no TLS registry.
    on "$1" sh -c 'cat >/etc/docker/daemon.json && systemctl restart docker' <<-END || return
		{ "storage-driver": "vfs", "oom-score-adjust": 0, "insecure-registries": ["$SUBNET.2:5000"] }
	END
    on "$1" docker run -d --name tenant -p 18080:8080 "$AGNHOST" netexec || return
    wait_until 20 on "$1" curl -sf -m 5 http://127.0.0.1:18080/hostname
}
# control_plane HOST: runs an etcd and an API server as services of another owner, and stores an object in them
control_plane() {
    on "$1" sh -ec '
        mkdir -p /opt/tenant
        for image; do
            name=${image##*/}
            container=$(docker create "$image" none)
            docker cp "$container:/usr/local/bin/${name%:*}" /opt/tenant/
            docker rm "$container"
        done' _ "$SUBNET.2:5000/etcd:$ETCD_TAG" "$SUBNET.2:5000/kube-apiserver:$VERSION" || return
    on "$1" sh -ec '
        cd /opt/tenant
        openssl genrsa -out sa.key 2048 2>/dev/null
        echo word,tenant,tenant,system:masters >tokens
        systemd-run -q --unit tenant-etcd /opt/tenant/etcd --data-dir /opt/tenant/data --listen-peer-urls http://127.0.0.1:12380 \
            --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379
        systemd-run -q --unit tenant-api /opt/tenant/kube-apiserver --etcd-servers http://127.0.0.1:12379 --secure-port 16443 \
            --cert-dir /opt/tenant/certs --service-account-issuer https://tenant --service-account-key-file /opt/tenant/sa.key \
            --service-account-signing-key-file /opt/tenant/sa.key --service-cluster-ip-range 10.200.0.0/24 --token-auth-file /opt/tenant/tokens' || return
    wait_until 60 on "$1" curl -skf -H 'Authorization: Bearer word' https://127.0.0.1:16443/readyz || return
    on "$1" curl -skf -o /dev/null -H 'Authorization: Bearer word' -H 'Content-Type: application/json' \
        -d '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"precious"}}' https://127.0.0.1:16443/api/v1/namespaces/default/configmaps
}
# vpn HOST: makes a network link with an address, a route and firewall rules
vpn() {
    on "$1" sh -ec '
        ip link add vpn0 type veth peer name vpn1
        ip addr add 10.99.0.1/24 dev vpn0
        ip link set vpn0 up; ip link set vpn1 up
        ip route add 10.98.0.0/16 via 10.99.0.2
        iptables -N VPN; iptables -A VPN -p udp --dport 51820 -j ACCEPT; iptables -A INPUT -i vpn0 -j VPN
        iptables -t nat -A POSTROUTING -s 10.99.0.0/24 -j MASQUERADE'
}
# state HOST: prints what of the tenants must not change: processes, the container, the link, route and rules
state() {
    on "$1" sh -c '
        systemctl show -p MainPID --value tenant-etcd tenant-api docker
        docker ps --no-trunc --format "{{.ID}} {{.Names}}"
        docker inspect -f "{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}" tenant
        ip -br addr show vpn0; ip -br link show vpn1 | cut -c 1-20; ip route show 10.98.0.0/16
        iptables-save | grep -E "VPN|vpn0|10\.99\.|DOCKER" | sort'
}
same_state() { state "$1" | diff "$WORK/tenants-$1" -; }
# serve HOST: succeeds if the container and the API server of the other owners answer, and the stored object is there
serve() {
    on "$1" curl -sf -m 5 -o /dev/null http://127.0.0.1:18080/hostname &&
        on "$1" curl -skf -m 5 -o /dev/null -H 'Authorization: Bearer word' https://127.0.0.1:16443/api/v1/namespaces/default/configmaps/precious
}
# live WHEN: checks that all tenants of all hosts are as they were
live() {
    local h
    for h in "${HOSTS[@]}"; do
        check "$1, the processes, links and rules of others are unchanged on $h" same_state "$h"
        check "$1, the services of others answer on $h" serve "$h"
        check "$1, what is mounted in the folders of Kubernetes is there on $h" mounts_live "$h"
    done
}

for h in "${HOSTS[@]}"; do
    check "Docker runs a container on $h" docker_runs "$h"
    check "an API server and an etcd of another owner run on $h" control_plane "$h"
    check "a VPN is up on $h" vpn "$h"
    state "$h" >"$WORK/tenants-$h"
done
mounts "${OTHER[@]}" "${KEPT[@]}" "${DATA[@]}"
live "before"
expect "init is refused, because the folders with data of Kubernetes are not empty" 4 tried init
for h in "${HOSTS[@]}"; do check "the refusal names what is mounted on $h" output_has "$h.*mount /var/lib/kubelet/tenant.*data in /var/lib/etcd"; done
live "after the refused init"
unmounts "${DATA[@]}"
MOUNTED+=("${KEPT[@]}")
check "init among all others" ctl init
expect "nothing is left to do" 0 ctl plan
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "two nodes are Ready" wait_until 60 nodes_ready 2
live "after init"
mounts "${DATA[@]}"
check "upgrade among them" ctl upgrade --version "$NEXT"
check "two nodes are Ready at $NEXT" wait_until 60 at_version "$NEXT" 2
expect "nothing is left to do after the upgrade" 0 ctl plan
live "after the upgrade"
expect "a reset is refused, because it would delete what is mounted" 4 tried reset --yes
for h in "${HOSTS[@]}"; do
    for d in "${DATA[@]}" "${KEPT[@]}"; do check "the refusal names $d/tenant of $h" output_has "$h.*$d/tenant"; done
done
live "after the refused reset"
check "two nodes are Ready" nodes_ready 2
unmounts "${DATA[@]}" "${KEPT[@]}"
check "reset" ctl reset --yes
live "after the reset"
for h in "${HOSTS[@]}"; do
    check "$h: no process of the cluster is left" on "$h" sh -c '! pgrep -x kubelet && [ "$(pgrep -xc "etcd|kube-apiserver")" = 2 ]'
    check "$h: nothing of the cluster is left" on "$h" sh -c '! ls -d /etc/kubernetes /var/lib/etcd/member /usr/local/bin/kubelet 2>/dev/null | grep .'
    check "$h: Docker starts another container" on "$h" docker run --rm "$AGNHOST" help
done
lab down
finish
