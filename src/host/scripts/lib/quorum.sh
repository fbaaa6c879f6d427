# wait_quorum SECONDS: waits until the other etcd members have the quorum without this host's member; prints why and fails if they do not have it in
# time. A script that stops the member calls this function directly before, so that the result is not older than necessary. If this member certainly
# does not run, its stop has no effect on the quorum, and the function succeeds. The function looks for the process and does not rely on a request to
# the member, which can also fail because a leader died a moment ago, the disk is slow, or a certificate has expired.
# wait_quorum SECONDS all: waits until all other voting members are healthy, whether or not the process of this member runs.
wait_quorum() (
  limit=$1 all=${2:-}
  pki=$PKI_DIR
  # Succeeds unless three looks agree that the member does not run. A look that fails counts as a member that runs. The log folder of the pod is not
  # asked, because somebody may have emptied /var/log/pods.
  runs() {
    # Status 1 of pgrep means that there is no such process.
    found=$(pgrep -x etcd) || [ $? = 1 ] || return 0
    for pid in $found; do
      # The UID of a static pod has 32 digits without hyphens, and its cgroup contains the UID.
      ! grep -qE 'pod[0-9a-f]{32}([^0-9a-f]|$)' "/proc/$pid/cgroup" 2>/dev/null || return 0
    done
    pid=$(systemctl show -p MainPID --value etcd 2>/dev/null) || return 0
    [ "${pid:-0}" -eq 0 ] || return 0
    listens=$(ss -Hltn "sport = :$ETCD_CLIENT_PORT" 2>/dev/null) || return 0
    [ -n "$listens" ]
  }
  # A host without /var/lib/clusterctl/established has not joined its cluster yet, so the quorum does not depend on its member.
  [ -n "$all" ] || { [ -e $ESTABLISHED ] && runs; } || exit 0
  # If the client certificate for health checks is lost, another certificate of the same CA is used.
  pair=
  for name in etcd/healthcheck-client apiserver-etcd-client etcd/peer etcd/server; do
    if [ -z "$pair" ] && [ -r "$pki/$name.crt" ] && [ -r "$pki/$name.key" ]; then pair=$pki/$name; fi
  done
  if ! [ -x $ETCDCTL ] || [ -z "$pair" ]; then
    echo "the etcd member of this host runs, and the others cannot be asked: $ETCDCTL or $pki/etcd/healthcheck-client.key is missing" >&2
    exit 1
  fi
  # etcd ENDPOINTS WORD...: runs etcdctl. Only its standard output is used, because versions of etcdctl differ in what they print on standard error.
  etcd() {
    endpoints=$1
    shift
    ETCDCTL_CACERT=$pki/etcd/ca.crt ETCDCTL_CERT=$pair.crt ETCDCTL_KEY=$pair.key \
      $ETCDCTL --endpoints "$endpoints" --command-timeout 2s --dial-timeout 1s "$@" 2>/dev/null
  }
  own=https://127.0.0.1:$ETCD_CLIENT_PORT
  # Succeeds if the other members have the quorum; otherwise leaves in $said why they do not, or why that is not known.
  spared() {
    self=$(etcd $own endpoint status -w json | sed -n 's/.*"member_id":\([0-9]*\).*/\1/p')
    [ -n "$self" ] || { said="the etcd member of this host runs and does not answer"; return 1; }
    self=$(printf %x "$self")
    # The output of `member list` has one line per member: ID, status, name, peer URL, client URL, and whether it is a learner.
    voters=$(etcd $own member list | grep 'false$') || voters=
    [ -n "$voters" ] || { said="the list of etcd members cannot be read (no leader?)"; return 1; }
    members=$(printf '%s\n' "$voters" | grep -c .)
    others=$(printf '%s\n' "$voters" | grep -v "^$self," | cut -d, -f5 | tr -d ' ' | grep .) || others=
    # Every other voting member is asked for its own health, all at the same time. A healthy member knows a leader.
    healthy=0
    [ -z "$others" ] || healthy=$(etcd "$(printf '%s\n' $others | paste -sd, -)" endpoint health -w json | grep -o '"health":true' | grep -c .) || :
    quorum=$((members / 2 + 1))
    # A cluster of two members has no quorum if one of them stops. It is enough here that the other one is healthy: writes have to wait, and no data
    # is lost.
    need=$quorum
    [ -z "$all" ] && [ $need -lt "$members" ] || need=$((members - 1))
    said="of $members etcd members $healthy would be left healthy without this one, and $need are needed (quorum $quorum)"
    [ "$healthy" -ge $need ]
  }
  end=$(($(date +%s) + limit))
  until spared; do
    [ "$(date +%s)" -lt $end ] || { echo "$said; see the etcd members with 'clusterctl status' and bring them back first" >&2; exit 1; }
    sleep 0.5
    # The process of this host's member may have ended in the meantime, and then there is nothing to wait for.
    [ -n "$all" ] || runs || exit 0
  done
)
