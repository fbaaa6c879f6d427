# reset.sh: removes a kubeadm cluster from a lab host and keeps packages, binaries and images. Runs on the host as root.
# Arguments: PHASES-TO-SKIP CRI-SOCKET
# shellcheck shell=bash
set -euo pipefail

# The whole cluster is removed, so etcd members are not removed one by one, which would only wait for a lost quorum. kubeadm may ask an API server
# that no longer exists, and would then wait forever.
timeout 30 kubeadm reset -f --skip-phases="$1" --cri-socket "$2" >/var/log/kubeadm-reset.log 2>&1 || true
systemctl stop kubelet
# Without crictl, kubeadm leaves the containers: they are ended here, and containerd is restarted so that it forgets them.
ctr -n k8s.io tasks ls -q | xargs -r -n1 ctr -n k8s.io tasks kill -s SIGKILL >/dev/null 2>&1 || true
ctr -n k8s.io tasks ls -q | xargs -r ctr -n k8s.io tasks delete -f >/dev/null 2>&1 || true
ctr -n k8s.io containers ls -q | xargs -r ctr -n k8s.io containers delete >/dev/null 2>&1 || true
systemctl restart containerd
awk '$2 ~ "^/var/lib/kubelet/" || $2 ~ "^/run/netns/" {print $2}' /proc/mounts | sort -r | xargs -r umount 2>/dev/null || true
rm -rf /etc/kubernetes /var/lib/cni /run/netns/* /root/.kube /var/log/pods /var/log/containers
# /etc/cni/net.d itself is kept: containerd watches the directory, and would not see a new directory with the same name.
find /etc/cni/net.d /var/lib/etcd /var/lib/kubelet -mindepth 1 -delete
ip link delete cni0 2>/dev/null || true
# Only rules of Kubernetes and of the CNI are removed: the rules of Docker's name server are in the nat table of the same host.
iptables-save | grep -vE 'KUBE-|CNI-' | iptables-restore
