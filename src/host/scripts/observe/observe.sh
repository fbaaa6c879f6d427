# Prints everything that a plan needs to know about this host; changes nothing.
# Output: `key value` lines, then `@tar`, then a tar archive of every managed path.
# Arguments: $1 is the address of the API server of this host, $2 is 1 if this host may run a control plane, or else 0, and $3 is the cluster's
# endpoint (host:port) that is tried from this host, or empty.
export LC_ALL=C
address=$1 control_plane=$2 endpoint=$3 patience=${CLUSTERCTL_PATIENCE:-1}
say() { printf '%s\n' "$*"; }
say clock "$(date +%s.%N)"
if [ -r /etc/os-release ]; then
  . /etc/os-release
  say os_id "$ID"
  say os_name "$PRETTY_NAME"
fi
say machine "$(uname -m)"
say hostname "$(cat /proc/sys/kernel/hostname)"
[ -r /etc/machine-id ] && read -r id </etc/machine-id && say machine_id "$id"
say cpus "$(grep -c ^processor /proc/cpuinfo)"
while read -r k v _; do [ "$k" = MemTotal: ] && say memory_kib "$v" && break; done </proc/meminfo
{ read -r _; read -r first _ && say swap "$first"; } </proc/swaps
say cgroup_fs "$(stat -fc %T /sys/fs/cgroup)"
grep -qw overlay /proc/filesystems && say feature overlay
[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] && say feature br_netfilter
for s in net/ipv4/ip_forward net/bridge/bridge-nf-call-iptables net/bridge/bridge-nf-call-ip6tables net/ipv6/conf/all/forwarding; do
  # `cat` is used and not the shell's `read`, which reads byte by byte: these files answer only the first read.
  [ -r "/proc/sys/$s" ] && say sysctl "$s" "$(cat "/proc/sys/$s")"
done
# Reports sysctls in files that systemd reads after 90-clusterctl.conf at boot, because they override that file. systemd reads files in the order of
# their names; of two files with the same name it reads only the one in the folder that comes first in the list below.
{
  echo "90-clusterctl.conf ours"
  for f in /etc/sysctl.d/*.conf /run/sysctl.d/*.conf /usr/local/lib/sysctl.d/*.conf /usr/lib/sysctl.d/*.conf; do
    [ ! -r "$f" ] || echo "${f##*/} $f"
  done
} | sort -s -u -k 1,1 | sed '1,/ ours$/d' | while read -r _ f; do
  sed -n 's/^[[:space:]]*-\{0,1\}\([^#;=[:space:]]*\)[[:space:]]*=[[:space:]]*\(.*[^[:space:]]\)[[:space:]]*$/\1 \2/p' "$f" | while read -r k v; do
    case $k in
      net[./]ipv4[./]conf[./]all[./]forwarding) say boot_sysctl net/ipv4/ip_forward "$v" "$f" ;;
      net[./]ipv4[./]ip_forward|net[./]bridge[./]bridge-nf-call-ip*tables|net[./]ipv6[./]conf[./]all[./]forwarding) say boot_sysctl "$k" "$v" "$f" ;;
    esac
  done
done
# Reports the policies in the state files of the kubelet's CPU manager and memory manager. A kubelet with another policy in its configuration does
# not start.
for manager in cpu memory; do
  f=/var/lib/kubelet/${manager}_manager_state
  [ -r "$f" ] && say kubelet_state $manager "$(sed -n 's/.*"policyName":"\([^"]*\)".*/\1/p' "$f")"
done
df -Pk /var/lib /usr/local /etc 2>/dev/null | while read -r _ _ _ free _ mount; do
  case $free in *[!0-9]*) ;; *) say disk "$free" "$mount" ;; esac
done
ip -o addr show 2>/dev/null | while read -r _ interface family cidr _; do
  case $family in inet|inet6) say address "${cidr%/*}" "${interface%%@*}" ;; esac
done
ss -Hltnp 2>/dev/null | while read -r _ _ _ local _ users; do
  say listen "${local##*:}" "$users"
done
for d in /etc/pki/ca-trust /etc/pki/tls/certs /etc/ca-certificates /usr/share/ca-certificates /usr/local/share/ca-certificates; do
  [ -d "$d" ] && say ca_dir "$d"
done
if command -v dpkg-query >/dev/null; then
  dpkg-query -W -f 'package ${Package} ${db:Status-Status}\n' containerd containerd.io runc containernetworking-plugins conntrack socat ethtool ebtables \
    iptables haproxy nginx libnginx-mod-stream keepalived curl openssl ca-certificates kmod procps iproute2 etcd-server etcd-client 2>/dev/null
fi
units='containerd kubelet haproxy nginx keepalived clusterctl-routes etcd systemd-resolved'
for u in $units; do
  stamp=
  [ -r "/var/lib/clusterctl/units/$u" ] && read -r stamp <"/var/lib/clusterctl/units/$u"
  [ -n "$stamp" ] && say stamp "$u" "$stamp"
done
# A unit that is starting, stopping or reloading reaches another state within seconds, so the script waits up to 10 s and reports that state. A unit
# that systemd restarts again and again (auto-restart) is reported as it is.
tries=0
while :; do
  shown=$(systemctl show -p Id,ActiveState,SubState,UnitFileState $units 2>/dev/null)
  case $shown in *ActiveState=reloading*|*ActiveState=deactivating*|*SubState=start*) ;; *) break ;; esac
  [ $tries -lt 50 ] || break
  tries=$((tries + 1))
  sleep 0.2
done
printf '%s\n' "$shown" | while IFS='=' read -r k v; do
  case $k in Id) say unit "${v%.service}" ;; ActiveState) say active "$v" ;; UnitFileState) say enabled "$v" ;; esac
done
if [ "$control_plane" = 1 ]; then
  since=$(systemctl show -p ActiveEnterTimestampMonotonic --value kubelet 2>/dev/null)
  read -r up _ </proc/uptime
  [ "${since:-0}" = 0 ] || say kubelet_age $((${up%.*} - since / 1000000))
fi
for f in /var/lib/clusterctl/binaries/*; do
  [ -r "$f" ] || continue
  { read -r path; read -r source; read -r was; } <"$f"
  [ "$(stat -Lc '%s %Y %Z %i' "$path" 2>/dev/null)" = "$was" ] && say binary "$path" "$source"
done
if [ -S /run/containerd/containerd.sock ] && command -v ctr >/dev/null; then
  timeout $((5 * patience)) ctr -n k8s.io images ls -q 2>/dev/null | while read -r i; do say image "$i"; done
  # An image can have two names, so the digest of the image is reported for each name.
  [ "$control_plane" = 1 ] && timeout $((5 * patience)) ctr -n k8s.io images ls 2>/dev/null | awk 'NR > 1 { print "digest " $1 " " $3 }'
  # The running containers are read from the folder of the runtime, because a request to the runtime takes ten times as long.
  tasks=/run/containerd/io.containerd.runtime.v2.task/k8s.io
  if [ -n "$(ls -A $tasks 2>/dev/null)" ]; then
    for d in $tasks/*; do say leftover container "${d##*/}"; done
  else
    timeout $((5 * patience)) ctr -n k8s.io containers ls -q 2>/dev/null | while read -r id; do say leftover container "$id"; done
  fi
  for pid in $(pgrep -x 'etcd|kube-apiserver|kube-controller|kube-scheduler'); do
    id=$(sed -n 's,.*\([0-9a-f]\{64\}\)[^/]*$,\1,p;q' "/proc/$pid/cgroup" 2>/dev/null)
    [ -n "$id" ] || continue
    about=$(grep -oE '"io.kubernetes.cri.(image-name|sandbox-namespace)":"[^"]*"' "$tasks/$id/config.json" 2>/dev/null | tr '\n' ' ')
    # A pod of a tenant may run its own control plane (vcluster, Kamaji). The static pods of this host are in kube-system, so processes in other
    # namespaces are skipped.
    case $about in *'sandbox-namespace":"kube-system"'*) ;; *'sandbox-namespace":'*) continue ;; esac
    image=${about##*image-name\":\"}
    image=${image%%\"*}
    say container "$id" "$image"
    args=$(tr '\0' '\037' <"/proc/$pid/cmdline" 2>/dev/null)
    say process "$id" "$args"
    # The controller manager and the scheduler read their kubeconfig, with the certificate inside, once at their start. So a component that was
    # started before its kubeconfig changed is reported as outdated. A modification time in the future is ignored.
    case $args in
    kube-controller-manager*) component=kube-controller-manager ;;
    kube-scheduler*) component=kube-scheduler ;;
    *) continue ;;
    esac
    conf=/etc/kubernetes/${component#kube-}.conf
    [ -e "$tasks/$id/config.json" ] && [ "$conf" -nt "$tasks/$id/config.json" ] && [ "$(stat -c %Y "$conf")" -le "$(date +%s)" ] &&
      say outdated "$component"
  done
fi
if [ -n "$(ls /var/lib/clusterctl/static-pods/*.new /var/lib/clusterctl/static-pods/*.old 2>/dev/null)" ] &&
  systemctl list-units --plain --no-legend --state=active,activating 'clusterctl-static-pod-*' 2>/dev/null | grep -q .; then
  say swapping
fi
for f in /var/lib/clusterctl/static-pods/*.old; do
  [ -e "$f" ] && { f=${f##*/}; say unsettled "${f%.old}"; }
done
if [ "$control_plane" = 1 ] && command -v curl >/dev/null; then
  if [ "$(curl -sk -m $((10 * patience)) -o /dev/null -w '%{http_code}' "https://$address:6443/readyz" 2>/dev/null)" = 200 ]; then
    say api "$(curl -sk -m $((10 * patience)) "https://$address:6443/version" 2>/dev/null | grep gitVersion | cut -d'"' -f4)"
  fi
  e=/etc/kubernetes/pki/etcd
  if [ -x /usr/local/bin/etcdctl ] && [ -r $e/healthcheck-client.key ]; then
    export ETCDCTL_CACERT=$e/ca.crt ETCDCTL_CERT=$e/healthcheck-client.crt ETCDCTL_KEY=$e/healthcheck-client.key
    export ETCDCTL_ENDPOINTS=https://127.0.0.1:2379
    members=$(/usr/local/bin/etcdctl member list -w json --command-timeout $((2 * patience))s --dial-timeout 1s 2>/dev/null) && say members "$members"
    own=$(/usr/local/bin/etcdctl endpoint status -w json --command-timeout $((2 * patience))s --dial-timeout 1s 2>/dev/null) && say etcd_status "$own"
  fi
fi
if [ -n "$endpoint" ] && command -v curl >/dev/null; then
  say endpoint "$(curl -sk --connect-timeout 1 -m 3 -o /dev/null -w '%{http_code}' "https://$endpoint/readyz" 2>/dev/null)"
fi
[ -r /var/lib/clusterctl/lock ] && read -r run _ </var/lib/clusterctl/lock && say last_run "$run"
grep -E ' (/var/lib/kubelet/|/run/netns/cni-)' /proc/mounts 2>/dev/null | while read -r _ mount _; do say leftover mount "$mount"; done
# Reports mounts inside a folder that a reset removes, except for the volumes of pods.
while read -r _ _ _ _ mount _; do
  case $mount in
    /var/lib/kubelet/pods/*/*|/var/lib/kubelet/plugins/*) ;;
    /etc/kubernetes/*|/var/lib/kubelet/*|/var/lib/etcd/*|/var/lib/cni/*|/var/lib/clusterctl/*|/var/log/pods/*|/var/log/containers/*|/etc/containerd/certs.d/*|/opt/cni/bin/*) say mount "$mount" ;;
  esac
done </proc/self/mountinfo
for l in /sys/class/net/cni0 /sys/class/net/flannel.1 /sys/class/net/kube-ipvs0 /sys/class/net/kube-bridge; do
  [ -e "$l" ] && say leftover link "${l##*/}"
done
chains=$(iptables-save 2>/dev/null | grep -cE '^:(KUBE-|CNI-|CLUSTERCTL-)')
[ "${chains:-0}" = 0 ] || say leftover "$chains iptables chains"
for d in /var/lib/kubelet /var/lib/etcd /var/lib/cni; do
  [ -d $d ] && [ -n "$(ls -A $d)" ] && say leftover data in $d
done
# Only the certificate is taken from the file $client. The file also holds the key, which a plan needs from control-plane hosts only.
client=/var/lib/kubelet/pki/kubelet-client-current.pem
if [ "$control_plane" != 1 ] && [ -e $client ]; then
  say certificate $client "$(awk '/-BEGIN /{on=0} /-BEGIN CERTIFICATE-/{on=1} on; /-END /{on=0}' $client 2>/dev/null | tr '\n' '\037')"
fi
say @tar
set --
# From /etc/kubernetes only the files of a cluster are taken, because an operator may keep backups in that folder.
for p in /etc/kubernetes/pki /etc/kubernetes/manifests /etc/kubernetes/*.conf /var/lib/kubelet/config.yaml /var/lib/kubelet/instance-config.yaml /var/lib/kubelet/kubeadm-flags.env \
  /etc/systemd/system/kubelet.service /etc/systemd/system/kubelet.service.d /etc/systemd/system/etcd.service /etc/etcd.env \
  /etc/containerd/config.toml /etc/containerd/certs.d /etc/cni/net.d /etc/haproxy/haproxy.cfg /etc/nginx/nginx.conf /etc/keepalived \
  /etc/modules-load.d/clusterctl.conf /etc/sysctl.d/90-clusterctl.conf /var/lib/clusterctl/cluster /var/lib/clusterctl/established /var/lib/clusterctl/adopted \
  /etc/systemd/system/clusterctl-routes.service /usr/local/bin/clusterctl-routes /var/lib/clusterctl/routes; do
  [ -e "$p" ] && set -- "$@" "${p#/}"
done
# Adds the client certificates of the kubelet with their keys: the present one, to which $client links, and the first one. Certificates that were
# rotated in between are not needed.
if [ "$control_plane" = 1 ]; then
  first=/var/lib/kubelet/pki/kubelet-client-initial.pem
  target=$(readlink $client)
  case $target in ''|/*) ;; *) target=${client%/*}/$target ;; esac
  [ "$target" != $first ] || target=
  for p in $client "$target" $first; do
    [ -e "$p" ] && set -- "$@" "${p#/}"
  done
fi
for p in /opt/cni/bin/*; do [ -L "$p" ] && set -- "$@" "${p#/}"; done
[ $# -gt 0 ] && tar -C / -cf - --numeric-owner "$@" 2>/dev/null
set --
# These folders may be links to folders on another disk, so tar follows links here (-h).
for p in /etc/kubernetes /var/lib/etcd /var/lib/etcd/member /var/lib/clusterctl /var/lib/clusterctl/static-pods /var/lib/clusterctl/spare /var/lib/clusterctl/units/kubelet /opt/cni/bin; do
  [ -e "$p" ] && set -- "$@" "${p#/}"
done
[ $# -gt 0 ] && tar -C / -h --no-recursion -cf - --numeric-owner "$@" 2>/dev/null
exit 0
