# Prints everything that a plan needs to know about this host; changes nothing.
# Output: `key value` lines, then `@tar`, then a tar archive of every managed path.
# Arguments: `address` of the API server of this host; `control_plane`, which is 1 if this host may run a control plane, or else 0; and `endpoint` of
# the cluster (host:port) that is tried from this host, or empty. Words: paths of the operator's files.
export LC_ALL=C
patience=${CLUSTERCTL_PATIENCE:-1}
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
  f=$KUBELET_DIR/${manager}_manager_state
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
  dpkg-query -W -f 'package ${Package} ${db:Status-Status}\n' containerd containerd.io runc containernetworking-plugins conntrack socat ethtool ebtables docker.io \
    iptables haproxy nginx libnginx-mod-stream keepalived curl openssl ca-certificates kmod procps iproute2 etcd-server etcd-client 2>/dev/null
fi
units='containerd kubelet haproxy nginx keepalived clusterctl-routes etcd systemd-resolved'
for u in $units; do
  stamp=
  [ -r "$UNITS_DIR/$u" ] && read -r stamp <"$UNITS_DIR/$u"
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
since=$(systemctl show -p ActiveEnterTimestampMonotonic --value kubelet 2>/dev/null)
read -r up _ </proc/uptime
age=
[ "${since:-0}" = 0 ] || age=$((${up%.*} - since / 1000000))
[ -z "$age" ] || [ "$control_plane" != 1 ] || say kubelet_age $age
# The kubelet reads its first client certificate, which clusterctl writes, only at its start. The link leads to another file once the kubelet has renewed
# the certificate itself. A modification time in the future is ignored.
if [ -n "$age" ] && [ "$(readlink $KUBELET_CLIENT_CURRENT)" = $KUBELET_CLIENT_INITIAL ]; then
  now=$(date +%s)
  written=$(stat -c %Y $KUBELET_CLIENT_INITIAL 2>/dev/null) || written=0
  [ "$written" -gt $((now - age + 1)) ] && [ "$written" -le "$now" ] && say outdated kubelet
fi
for f in $BINARIES_DIR/*; do
  [ -r "$f" ] || continue
  { read -r path; read -r source; read -r was; } <"$f"
  [ "$(stat -Lc '%s %Y %Z %i' "$path" 2>/dev/null)" = "$was" ] && say binary "$path" "$source"
done
if [ -S $CONTAINERD_SOCKET ] && command -v ctr >/dev/null; then
  # Images in this file may be damaged, and do not count as present; see images.sh.
  unsynced=$STATE_DIR/pulls
  [ -e $unsynced ] || unsynced=/dev/null
  timeout $((5 * patience)) ctr -n k8s.io images ls -q 2>/dev/null | grep -vxFf $unsynced | while read -r i; do say image "$i"; done
  # An image can have two names, so the digest of the image is reported for each name.
  [ "$control_plane" = 1 ] && timeout $((5 * patience)) ctr -n k8s.io images ls 2>/dev/null | awk 'NR > 1 { print "digest " $1 " " $3 }'
  # The running containers are read from the folder of the runtime, because a request to the runtime takes ten times as long.
  tasks=$CONTAINERD_TASKS_DIR
  for d in ${tasks%/*}/*; do
    [ "$d" = $tasks ] || [ -z "$(ls -A "$d" 2>/dev/null)" ] || say other_containers "${d##*/}"
  done
  if [ -n "$(ls -A $tasks 2>/dev/null)" ]; then
    for d in $tasks/*; do say leftover container "${d##*/}"; done
  else
    timeout $((5 * patience)) ctr -n k8s.io containers ls -q 2>/dev/null | while read -r id; do say leftover container "$id"; done
  fi
  for pid in $(pgrep -x 'etcd|kube-apiserver|kube-controller|kube-scheduler'); do
    id=$(sed -n 's,.*\([0-9a-f]\{64\}\)[^/]*$,\1,p;q' "/proc/$pid/cgroup" 2>/dev/null)
    [ -n "$id" ] || continue
    about=$(grep -oE '"io.kubernetes.cri.(image-name|sandbox-namespace)":"[^"]*"' "$tasks/$id/config.json" 2>/dev/null | tr '\n' ' ')
    # A pod of a tenant may run its own control plane (vcluster, Kamaji), and so may a container outside of Kubernetes (an application's etcd, kind).
    # The static pods of this host are in kube-system, so a process counts only if containerd says that its container is there, or if its cgroup is
    # that of such a static pod (see process.sh).
    read -r name 2>/dev/null <"/proc/$pid/comm" || continue
    case $name in kube-controller*) name=kube-controller-manager ;; esac
    case $about in
    *'sandbox-namespace":"kube-system"'*) ;;
    *'sandbox-namespace":'*) continue ;;
    *) [ -n "$(folder_of "$name" "$pid")" ] || continue ;;
    esac
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
    conf=$KUBERNETES_DIR/${component#kube-}.conf
    [ -e "$tasks/$id/config.json" ] && [ "$conf" -nt "$tasks/$id/config.json" ] && [ "$(stat -c %Y "$conf")" -le "$(date +%s)" ] &&
      say outdated "$component"
  done
fi
if [ -n "$(ls $STATIC_PODS_DIR/*.new $STATIC_PODS_DIR/*.old 2>/dev/null)" ] &&
  systemctl list-units --plain --no-legend --state=active,activating 'clusterctl-static-pod-*' 2>/dev/null | grep -q .; then
  say swapping
fi
for f in $STATIC_PODS_DIR/*.old; do
  [ -e "$f" ] && { f=${f##*/}; say unsettled "${f%.old}"; }
done
if [ "$control_plane" = 1 ] && command -v curl >/dev/null; then
  if [ "$(curl -sk -m $((10 * patience)) -o /dev/null -w '%{http_code}' "https://$address:$API_SERVER_PORT/readyz" 2>/dev/null)" = 200 ]; then
    say api "$(curl -sk -m $((10 * patience)) "https://$address:$API_SERVER_PORT/version" 2>/dev/null | grep gitVersion | cut -d'"' -f4)"
  fi
  if [ -x $ETCDCTL ] && [ -r $ETCDCTL_KEY ]; then
    members=$(own_member --command-timeout $((2 * patience))s member list -w json 2>/dev/null) && say members "$members"
    own=$(own_member --command-timeout $((2 * patience))s endpoint status -w json 2>/dev/null) && say etcd_status "$own"
  fi
fi
if [ -n "$endpoint" ] && command -v curl >/dev/null; then
  say endpoint "$(curl -sk --connect-timeout 1 -m 3 -o /dev/null -w '%{http_code}' "https://$endpoint/readyz" 2>/dev/null)"
fi
[ -r $STATE_DIR/lock ] && read -r run _ <$STATE_DIR/lock && say last_run "$run"
kubelet=$(in_kernel $KUBELET_DIR)
grep -E " ($kubelet/|/run/netns/cni-)" /proc/mounts 2>/dev/null | while read -r _ mount _; do say leftover mount "$mount"; done
# Reports mounts inside a folder that a reset empties or removes, except for the volumes of pods, and mounts at the folders that it removes.
{
  mounts_below $KUBERNETES_DIR $KUBELET_DIR $ETCD_DATA_DIR $CNI_STATE_DIR $STATE_DIR $POD_LOGS_DIR $CONTAINER_LOGS_DIR $CONTAINERD_CERTS_DIR
  mounts_at $KUBERNETES_DIR $STATE_DIR $CONTAINERD_CERTS_DIR
} 2>/dev/null | while read -r mount; do
  case $mount in "$kubelet"/pods/*/*|"$kubelet"/plugins/*) ;; *) say mount "$mount" ;; esac
done
for l in /sys/class/net/cni0 /sys/class/net/flannel.1 /sys/class/net/kube-ipvs0 /sys/class/net/kube-bridge; do
  [ -e "$l" ] && say leftover link "${l##*/}"
done
chains=$(iptables-save 2>/dev/null | grep -cE '^:(KUBE-|CNI-|CLUSTERCTL-)')
[ "${chains:-0}" = 0 ] || say leftover "$chains iptables chains"
for d in $KUBELET_DIR $ETCD_DATA_DIR $CNI_STATE_DIR; do
  [ -d $d ] && [ -n "$(ls -A $d)" ] && say leftover data in $d
done
# Only the certificate is taken from the file $client. The file also holds the key, which a plan needs from control-plane hosts only.
client=$KUBELET_CLIENT_CURRENT
if [ "$control_plane" != 1 ] && [ -e $client ]; then
  say certificate $client "$(awk '/-BEGIN /{on=0} /-BEGIN CERTIFICATE-/{on=1} on; /-END /{on=0}' $client 2>/dev/null | tr '\n' '\037')"
fi
say @tar
# Adds the operator's files. A folder at one of their paths is reported without its content, which is not clusterctl's.
for p do
  shift
  [ ! -e "$p" ] && [ ! -L "$p" ] || set -- "$@" "${p#/}"
done
[ $# -gt 0 ] && tar -C / --no-recursion -cf - --numeric-owner "$@" 2>/dev/null
set --
# From /etc/kubernetes only the files of a cluster are taken, because an operator may keep backups in that folder.
for p in $PKI_DIR $MANIFESTS_DIR $KUBERNETES_DIR/*.conf $KUBELET_CONFIG $KUBELET_INSTANCE_CONFIG $KUBELET_FLAGS_ENV \
  $KUBELET_UNIT $KUBELET_DROP_IN_DIR $ETCD_UNIT $ETCD_ENV \
  $CONTAINERD_CONFIG $CONTAINERD_CERTS_DIR $CNI_CONF_DIR $HAPROXY_CONFIG $NGINX_CONFIG /etc/keepalived \
  $MODULES_LOAD $SYSCTL_CONF $OWNERSHIP $ESTABLISHED $ADOPTED $RESTORE_MARK $RESTORE_MANIFESTS_DIR \
  $ROUTES_UNIT $ROUTES_SCRIPT $ROUTES_DATA $FILES_DIR $ENCRYPTION_DIR; do
  [ -e "$p" ] && set -- "$@" "${p#/}"
done
# Adds the client certificates of the kubelet with their keys: the present one, to which $client links, and the first one. Certificates that were
# rotated in between are not needed.
if [ "$control_plane" = 1 ]; then
  first=$KUBELET_CLIENT_INITIAL
  target=$(readlink $client)
  case $target in ''|/*) ;; *) target=${client%/*}/$target ;; esac
  [ "$target" != $first ] || target=
  for p in $client "$target" $first; do
    [ -e "$p" ] && set -- "$@" "${p#/}"
  done
fi
for p in $CNI_BIN_DIR/*; do [ -L "$p" ] && set -- "$@" "${p#/}"; done
[ $# -gt 0 ] && tar -C / -cf - --numeric-owner "$@" 2>/dev/null
set --
# These folders may be links to folders on another disk, so tar follows links here (-h).
for p in $KUBERNETES_DIR $ETCD_DATA_DIR $ETCD_MEMBER_DIR $STATE_DIR $STATIC_PODS_DIR $SPARE_DIR $KUBELET_SPARE_DIR $RESTORE_DIR $UNITS_DIR/kubelet $CNI_BIN_DIR; do
  [ -e "$p" ] && set -- "$@" "${p#/}"
done
[ $# -gt 0 ] && tar -C / -h --no-recursion -cf - --numeric-owner "$@" 2>/dev/null
exit 0
