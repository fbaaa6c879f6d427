#!/bin/bash
# The plan shows exactly what was changed or deleted by hand, and apply corrects exactly that.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
needs_cluster

# drift NAME TEXT HOST COMMAND...: makes a difference: runs the command on HOST, or on this machine if HOST is `api`. Checks that plan shows TEXT and
# exits with 6, that it changes no host except HOST and m1 (not checked for `api`), that apply corrects the difference, and that plan is then empty.
# NAME is the beginning of the titles of these checks.
drift() {
    local name=$1 text=$2 host=$3 out status; shift 3
    if [ "$host" = api ]; then "$@" >/dev/null 2>&1 || say "note: $* failed"; else on "$host" "$@" || say "note: $* failed on $host"; fi
    out=$(ctl plan 2>&1); status=$?
    if [ $status = 6 ] && grep -qF -- "$text" <<<"$out"; then pass "$name: plan shows it"; else fail "$name: plan (exit $status) does not show '$text'"; said "$out"; fi
    local foreign
    foreign=$(grep -E '^  [a-z0-9]+: ' <<<"$out" | grep -vE "^  ($host|m1): ") && [ "$host" != api ] && fail "$name: plan changes other hosts as well: $foreign"
    check "$name: apply" ctl apply
    expect "$name: nothing is left to do" 0 ctl plan
}
drift "a changed kubelet configuration" "maxPods: 7" w1 sh -c 'echo "maxPods: 7" >>/var/lib/kubelet/config.yaml'
drift "a deleted CNI configuration" /etc/cni/net.d/10-clusterctl.conflist w2 rm /etc/cni/net.d/10-clusterctl.conflist
drift "a wrong mode of a key" "pki/sa.key" m2 chmod 0644 /etc/kubernetes/pki/sa.key
drift "a deleted leaf certificate" apiserver-kubelet-client.crt m2 rm /etc/kubernetes/pki/apiserver-kubelet-client.crt
drift "a stopped balancer" haproxy lb1 systemctl stop haproxy
drift "a changed balancer configuration" "retries 7" lb1 sed -i "s/retries 3/retries 7/" /etc/haproxy/haproxy.cfg
drift "a disabled kubelet" kubelet w1 systemctl disable --now kubelet
drift "a sysctl" net.ipv4.ip_forward w2 sysctl -qw net.ipv4.ip_forward=0
drift "a replaced binary" /usr/local/bin/kubectl m3 sh -c 'echo x >>/usr/local/bin/kubectl'
drift "a changed manifest" kube-scheduler m3 sed -i 's/--bind-address=127.0.0.1/--bind-address=0.0.0.0/' /etc/kubernetes/manifests/kube-scheduler.yaml
drift "a deleted manifest" kube-controller-manager m2 rm /etc/kubernetes/manifests/kube-controller-manager.yaml
drift "a deleted image" kube-proxy w1 sh -c 'ctr -n k8s.io images rm $(ctr -n k8s.io images ls -q | grep kube-proxy:)'
drift "a deleted role binding" "kubeadm:nodes-kubeadm-config" api kubectl -n kube-system delete rolebinding kubeadm:nodes-kubeadm-config
drift "an emptied config map" "ConfigMap kube-system/kube-proxy" api kubectl -n kube-system patch configmap kube-proxy --type merge -p '{"data":{"config.conf":""}}'
drift "a removed label" "node m2" api kubectl label node m2 "$NODE_LABEL-"
drift "a removed taint" "node m3" api kubectl taint node m3 "$NODE_TAINT-"

kubectl label node w1 somebody=else --overwrite >/dev/null
kubectl taint node w1 somebody=else:PreferNoSchedule --overwrite >/dev/null
expect "labels and taints of others are not drift" 0 ctl plan
kubectl label node w1 somebody- >/dev/null
kubectl taint node w1 somebody- >/dev/null
finish
