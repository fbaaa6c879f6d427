# Removes what Kubernetes leaves in the running system and in its own folders. This includes containers, mounts, network links, iptables chains,
# routes and data. The functions that find mounts are in mounts.sh, and those that find processes which use the data are in in_use.sh. Data is deleted
# only after every container has been listed and ended, and no process uses the data any more. If containerd cannot list the containers, the script
# fails.
# Arguments: `images` is `remove` to remove the images as well, or `keep` to keep them; and `limit` is the time in seconds after which the script
# begins nothing more. It is shorter than the limit of the step, so that no script goes on after its run has given it up.
folders="$KUBELET_DIR $ETCD_DATA_DIR $CNI_STATE_DIR $KUBERNETES_DIR $KUBECTL_CACHE_DIR $POD_LOGS_DIR $CONTAINER_LOGS_DIR"
tasks=$CONTAINERD_TASKS_DIR
have() { command -v "$1" >/dev/null; }
fail() { echo "$*" >&2; exit 1; }
limit=$((limit * ${CLUSTERCTL_PATIENCE:-1}))
end=$(($(date +%s) + limit))
left() { echo $((end - $(date +%s))); }
# go_on: exits if another run has taken the lock of this host, or after the limit. It is called directly before each effect that follows a wait or a
# command that may hang: the script of a run whose operator's machine died goes on, and another run may have made a new cluster meanwhile.
go_on() {
  still_ours
  [ "$(left)" -gt 0 ] || fail "not everything that Kubernetes left on this host was removed within $limit s; run the same command again"
}
c() { within 60 ctr -n k8s.io "$@"; }
# Prints the PIDs of the containerd shims, which are the parents of the running containers. A shim runs even if containerd does not.
shims() {
  for pid in $(pgrep -x containerd-shim); do
    if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- '-namespace k8s\.io '; then echo "$pid"; fi
  done
}
runs() { [ -n "$(ls -A $tasks 2>/dev/null)" ] || [ -n "$(shims)" ]; }
# Prints the mounted volumes of pods, which this script unmounts. Any other mount below $folders belongs to the operator, and the script fails because
# of it before it changes anything.
kubelet=$(in_kernel $KUBELET_DIR)
volumes() { mounts_below $KUBELET_DIR | grep -E "^$kubelet/(pods/[^/]+|plugins)/" || :; }

# Only one clean.sh runs at a time: the one of an earlier run may still be at work.
exec 8>/run/clusterctl-clean.lock
take_turn 8 60 "what Kubernetes left"
go_on
for d in $folders; do
  [ ! -L $d ] || fail "$d is a link to $(readlink $d), and nothing is deleted through a link: remove what it points to and the link by hand"
done
inside=$(mounts_below $folders)
inside=$(printf '%s\n' "$inside" | grep . | grep -vE "^$kubelet/(pods/[^/]+|plugins)/" | tr '\n' ' ') || :
[ -z "$inside" ] || fail "mounted below a folder that is to be emptied: ${inside% }: unmount it, then run the same command again; nothing was changed"

started=
if have ctr; then
  if ! c namespaces ls -q >/dev/null 2>&1; then
    go_on
    within 60 systemctl start containerd >/dev/null 2>&1 && started=yes || :
    tries=0
    until c namespaces ls -q >/dev/null 2>&1; do
      tries=$((tries + 1))
      if [ $tries -gt 50 ] || [ "$(left)" -lt 1 ]; then
        ! runs || fail "containerd does not answer, so the containers that run here cannot be listed and ended; nothing was deleted. See \`journalctl -u containerd\`"
        break
      fi
      sleep 0.2
    done
  fi
  if c namespaces ls -q >/dev/null 2>&1; then
    tries=0
    while :; do
      containers=$(c containers ls -q) || fail "containerd does not list its containers; nothing was deleted"
      [ -n "$containers" ] || break
      # The containers are ended with SIGKILL: the host leaves its cluster, so nothing needs the grace period of the pods any more.
      for t in $(c tasks ls -q); do go_on; c tasks kill -s KILL "$t" >/dev/null 2>&1 || :; done
      for t in $(c tasks ls -q); do go_on; c tasks delete "$t" >/dev/null 2>&1 || :; done
      for i in $containers; do go_on; c containers delete "$i" >/dev/null 2>&1 || :; done
      tries=$((tries + 1))
      [ $tries -lt 50 ] || fail "these containers cannot be removed: $(printf '%s' "$containers" | tr '\n' ' ')"
    done
    # The CRI plugin of containerd still has the deleted containers in its memory, so containerd is restarted.
    [ $tries = 0 ] || { go_on; within 60 systemctl restart containerd; }
    if [ "$images" = remove ]; then
      i=$(c images ls -q) || fail "containerd does not list its images; no data was deleted"
      go_on
      [ -z "$i" ] || c images rm --sync $i >/dev/null
    fi
  fi
elif runs; then
  fail "containers of Kubernetes run here and there is no ctr to end them with; nothing was deleted"
fi
tries=0
while [ -n "$(shims)" ]; do
  tries=$((tries + 1))
  [ $tries -lt 25 ] || fail "containers still run although containerd lists none (processes $(shims | tr '\n' ' ')); no data was deleted"
  sleep 0.4
  go_on
done
# Another runtime than containerd may run the pods, or a process may have outlived its container, so the processes themselves are looked at.
tries=0
while used=$(in_use $folders); [ -n "$used" ]; do
  tries=$((tries + 1))
  [ $tries -lt 25 ] || fail "$(printf '%s' "$used" | head -n 5 | paste -sd, - | sed 's/,/, /g'); no data was deleted. End what is named there, with the runtime that runs it, then run the same command again"
  sleep 0.2
  go_on
done

# The deepest mount is unmounted first. A lazy unmount also succeeds on a network volume whose server cannot be reached.
volumes | sort -r | while read -r m; do go_on; umount -l "$(printf '%b' "$m")" || :; done
still=$(volumes | tr '\n' ' ')
[ -z "$still" ] || fail "these volumes cannot be unmounted, and nothing is deleted below a mount: $still"
go_on
# A network namespace of the CNI without a process is left over from a pod sandbox that no longer exists, so it is removed.
for n in /run/netns/cni-*; do
  [ -e "$n" ] || continue
  [ -z "$(ip netns pids "${n##*/}" 2>/dev/null)" ] || continue
  umount -l "$n" 2>/dev/null || :
  rm -f "$n"
done
# The network links of the pods on this host are the ports of the bridge cni0.
ports=$(ls /sys/class/net/cni0/brif 2>/dev/null) || :
ipvs=
[ ! -e /sys/class/net/kube-ipvs0 ] || ipvs=yes
for l in cni0 flannel.1 kube-ipvs0 kube-bridge $ports; do [ ! -e /sys/class/net/$l ] || ip link delete $l || [ ! -e /sys/class/net/$l ] || fail "link $l cannot be deleted"; done
# A route is deleted by its subnet alone: what else is shown of it, such as `linkdown`, is not accepted by `ip route del`. A route that went with its
# link meanwhile is not named.
for family in -4 -6; do
  ip $family route show proto 86 2>/dev/null | while read -r subnet _; do
    ip $family route del "$subnet" proto 86 2>/dev/null || [ -z "$(ip $family route show "$subnet" proto 86)" ] || fail "the route to $subnet (protocol 86) cannot be deleted; no data was deleted"
  done
done
# The iptables rules are deleted one by one, so that a rule that another program adds at the same time is kept.
for family in iptables ip6tables; do
  have $family-save || continue
  rules=$($family-save 2>/dev/null) || continue
  gone=$(printf '%s\n' "$rules" | awk '
    function ours(chain) { return chain ~ /^(KUBE-|CNI-|CLUSTERCTL-)/ }
    /^\*/ { table = $0; n = 0; lines = "" }
    /^:/ { chain = substr($1, 2); if (ours(chain)) own[++n] = chain }
    /^-A/ { if (!ours($2) && ($0 ~ / -[jg] (KUBE-|CNI-|CLUSTERCTL-)/ || $0 ~ / --comment "?clusterctl(-swap)?"? /)) { sub(/^-A/, "-D"); lines = lines $0 "\n" } }
    /^COMMIT/ {
      for (i = 1; i <= n; i++) lines = lines "-F " own[i] "\n"
      for (i = 1; i <= n; i++) lines = lines "-X " own[i] "\n"
      if (lines != "") printf "%s\n%sCOMMIT\n", table, lines
    }')
  [ -z "$gone" ] || { go_on; printf '%s\n' "$gone" | $family-restore -w 10 --noflush || fail "the chains of Kubernetes cannot be removed with $family-restore"; }
done
# The IPVS virtual servers belong to kube-proxy, and are deleted, only if kube-proxy's link kube-ipvs0 existed.
if [ -n "$ipvs" ] && have ipvsadm; then ipvsadm --clear; fi
refuse_mounts $folders
for d in $folders; do
  [ -d $d ] || continue
  go_on
  within_exactly "$(left)" find $d -xdev -mindepth 1 -delete || fail "$d was not emptied; run the same command again"
done
[ -z "$started" ] || { go_on; within 60 systemctl stop containerd; }
