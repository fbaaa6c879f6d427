# reset.sh: takes a kubeadm cluster off a lab host and leaves packages, binaries and images. Runs on the host as root.
# Arguments: PHASES-TO-SKIP CRI-SOCKET
# shellcheck shell=bash
set -euo pipefail

# The whole cluster goes: asking etcd to drop members one by one would only wait for a lost quorum. It asks an API that may be gone already, and then for ever.
timeout 30 kubeadm reset -f --skip-phases="$1" --cri-socket "$2" >/var/log/kubeadm-reset.log 2>&1 || true
systemctl stop kubelet
# Without crictl kubeadm leaves the containers: end them, then let containerd forget them on its restart.
ctr -n k8s.io tasks ls -q | xargs -r -n1 ctr -n k8s.io tasks kill -s SIGKILL >/dev/null 2>&1 || true
ctr -n k8s.io tasks ls -q | xargs -r ctr -n k8s.io tasks delete -f >/dev/null 2>&1 || true
ctr -n k8s.io containers ls -q | xargs -r ctr -n k8s.io containers delete >/dev/null 2>&1 || true
systemctl restart containerd
awk '$2 ~ "^/var/lib/kubelet/" || $2 ~ "^/run/netns/" {print $2}' /proc/mounts | sort -r | xargs -r umount 2>/dev/null || true
rm -rf /etc/kubernetes /var/lib/cni /run/netns/* /root/.kube /var/log/pods /var/log/containers
# /etc/cni/net.d itself stays: containerd watches the directory, and a new one of the same name would go unseen.
find /etc/cni/net.d /var/lib/etcd /var/lib/kubelet -mindepth 1 -delete
ip link delete cni0 2>/dev/null || true
# Only Kubernetes' and CNI's own rules: Docker's name server lives in the nat table of this same host.
iptables-save | grep -vE 'KUBE-|CNI-' | iptables-restore
