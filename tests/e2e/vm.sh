#!/bin/bash
# Virtual machines with their own kernel and all defaults of clusterctl: control groups of version 2, the systemd driver, kernel modules, evictions.
# The control-plane host loses its power during an init, while its API server and its etcd are replaced, and during an upgrade; each time, the same
# command then completes the work. The worker is rebooted, and at the end both machines are reset. Software emulation is slow: the scenario takes
# about an hour. POWER_CUTS (default: 1) is the number of power cuts while the API server is replaced.
# Needs: nothing; makes its own machines. Leaves: no machines.
. "$(dirname "$0")/lib.sh"
# on HOST COMMAND...: runs a command as root on a virtual machine, over SSH and without clusterctl
program on <<-END
	#!/bin/bash
	host=\$1; shift
	exec "$ROOT/tests/lab/lab" vm ssh "\$host" "sudo -n -- \$(printf '%q ' "\$@")"
END
vms() { lab vm "$@" </dev/null; }
# new_machines: starts m1 and w1 at the same time
new_machines() { local a b; vms up m1 "$SUBNET.11" & a=$!; vms up w1 "$SUBNET.21" & b=$!; wait $a && wait $b; }
# power_cut HOST STEP ARGUMENT...: runs clusterctl with these arguments, cuts the power of HOST as soon as a step whose title contains STEP has begun
# on it, and starts HOST again. Checks that the run fails and that its error names HOST.
power_cut() {
    local host=$1 step=$2 run status; shift 2
    rm -f "$WORK/cut.log"
    ctl --log-file "$WORK/cut.log" "$@" >"$WORK/cut.out" 2>&1 & run=$!
    begun() { grep -s "host=\"\?$host\"\? " "$WORK/cut.log" | grep -q "$step.*: started" || ! kill -0 $run 2>/dev/null; }
    wait_until 1800 begun
    vms kill "$host"
    wait $run; status=$?
    if [ $status != 0 ] && grep -q "$step.*: started" "$WORK/cut.log"; then
        pass "the power of $host fails after the begin of \`$step\`: exit $status"
    else
        fail "the power of $host fails after the begin of \`$step\`: exit $status"
        said "$(cat "$WORK/cut.out")"
    fi
    check "$host is named" grep -q "^error: .*$host" "$WORK/cut.out"
    check "$host comes up again" vms start "$host"
}
# whole HOST: succeeds if no static pod manifest of this host is empty, and its kubelet and kubectl, if it has them, can be executed
whole() {
    on "$1" sh -c 'for f in /etc/kubernetes/manifests/*.yaml; do [ ! -e "$f" ] || tail -n 1 "$f" | grep -q . || { echo "$f is empty"; exit 1; }; done
        for f in kubelet kubectl; do [ ! -e /usr/local/bin/$f ] || /usr/local/bin/$f --version >/dev/null 2>&1 || /usr/local/bin/$f version --client >/dev/null || exit 1; done'
}

lab down >/dev/null 2>&1
lab build --machines || exit 1
check "two virtual machines start" new_machines
for h in m1 w1; do check "$h: control groups of version 2" test "$(on $h stat -fc %T /sys/fs/cgroup)" = cgroup2fs; done
cat >"$CLUSTERCTL_INVENTORY" <<-END
	cluster: { name: vm, version: $VERSION }
	hosts:
	  - { name: m1, address: $SUBNET.11, roles: [control-plane] }
	  - { name: w1, address: $SUBNET.21, roles: [worker] }
	artifacts:
	  binaries: http://$SUBNET.2
	  imageRepository: $SUBNET.2:5000
	  registryMirrors: { "$SUBNET.2:5000": ["http://$SUBNET.2:5000"] }
	ssh: { user: ops, identityFiles: [$LAB/ssh/id_ed25519], knownHosts: [$KNOWN_HOSTS] }
	etcd: { imageTag: $ETCD_TAG }
END
if [ -n "$COREDNS_TAG" ]; then
    printf 'addons: { coreDns: { imageTag: %s } }\n' "$COREDNS_TAG"
else
    printf 'addons: { coreDns: { enabled: false } }\n'
fi >>"$CLUSTERCTL_INVENTORY"
# Software emulation is slow, so every wait of clusterctl has a limit of 20 minutes.
printf '#!/bin/sh\nexec "%s" --wait-timeout 20m "$@"\n' "${CLUSTERCTL:-$ROOT/target/debug/clusterctl}" | program ctl

# The power of m1 fails at three steps of an init, which is started again after each power cut.
for step in "pull" "start or restart kubelet" "wait for the API server at"; do
    power_cut m1 "$step" init
    check "the files of m1 are complete" whole m1
done
start=$(millis)
check "the same init succeeds" ctl init
say "init after the power cuts: $(($(millis) - start)) ms"
expect "nothing is left to do" 0 ctl plan
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "two nodes are Ready" wait_until 120 nodes_ready 2
check "the kubelet uses the systemd driver" on m1 grep -q 'cgroupDriver: systemd' /var/lib/kubelet/config.yaml
check "containerd uses the systemd driver" on m1 grep -q 'SystemdCgroup = true' /etc/containerd/config.toml
check "the modules are loaded" on m1 sh -c 'grep -q ^br_netfilter /proc/modules && grep -q ^overlay /proc/modules'

# Changes that were made by hand are corrected. The ConfigMap `kept` is created here and must still exist after all power cuts and the upgrade below.
kubectl create configmap kept --from-literal=a=b >/dev/null
on w1 sh -c 'echo "maxPods: 7" >>/var/lib/kubelet/config.yaml'
on m1 sysctl -qw net.ipv4.ip_forward=0
expect "plan shows what was changed by hand" 6 ctl plan
check "apply corrects it" ctl apply
expect "nothing is left to do after the correction" 0 ctl plan

# A virtual machine really reboots, which a container cannot do: its boot ID must change.
boot() { on "$1" cat /proc/sys/kernel/random/boot_id; }
before=$(boot w1)
start=$(millis)
check "a worker reboots during its maintenance" ctl maintenance w1 --reboot
say "maintenance with a reboot: $(($(millis) - start)) ms"
check "the worker has rebooted" test "$(boot w1)" != "$before"
check "two nodes are Ready" wait_until 120 nodes_ready 2
expect "nothing differs afterwards" 0 ctl plan

# The power of m1 fails while its API server is replaced, and later while its etcd is replaced.
set_flag() { printf '%s\n' "controlPlane: { apiServer: { extraArgs: { event-ttl: \"$1\" } } }" >>"$CLUSTERCTL_INVENTORY"; }
for cut in $(seq "${POWER_CUTS:-1}"); do
    ttl=${cut}h30m0s
    sed -i '/^controlPlane:/d' "$CLUSTERCTL_INVENTORY"
    set_flag $ttl
    power_cut m1 "run static pod kube-apiserver" apply
    check "its manifests are complete" whole m1
    check "an API server serves again without help" wait_until 600 kubectl --request-timeout 5s get nodes
    check "the same apply succeeds" ctl apply
    check "the API server has the new flag" on m1 grep -q "event-ttl=$ttl" /etc/kubernetes/manifests/kube-apiserver.yaml
    expect "nothing is left to do" 0 ctl plan
done
sed -i "s/^etcd: .*/etcd: { imageTag: $ETCD_NEXT }/" "$CLUSTERCTL_INVENTORY"
power_cut m1 "run static pod etcd" apply
check "etcd and the API server serve again without help" wait_until 600 kubectl --request-timeout 5s get configmap kept
check "the same apply succeeds" ctl apply
expect "nothing is left to do" 0 ctl plan
check "no rule that rejects connections is left" on m1 sh -c '! iptables-save | grep -i clusterctl | grep -E "REJECT|DROP"'

# The power of the control plane fails during an upgrade.
power_cut m1 "run static pod" upgrade --version "$NEXT"
start=$(millis)
check "the same upgrade succeeds" ctl upgrade --version "$NEXT"
say "upgrade after the power cut: $(($(millis) - start)) ms"
check "both nodes are Ready at $NEXT" wait_until 120 at_version "$NEXT" 2
check "the ConfigMap still exists" test "$(kubectl get configmap kept -o jsonpath='{.data.a}')" = b
expect "nothing is left to do" 0 ctl plan

check "reset" ctl reset --yes
for h in m1 w1; do
    check "$h: no file of the cluster is left" on $h sh -c '! ls -d /etc/kubernetes /usr/local/bin/kube* /var/lib/clusterctl /var/lib/etcd/member 2>/dev/null | grep .'
    check "$h: no process is left" on $h sh -c '! pgrep -x "kubelet|etcd|kube-apiserver|kube-proxy"'
done
lab vm down
finish
