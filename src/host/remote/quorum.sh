# wait_quorum SECONDS: waits until the other etcd members keep the quorum without this host's; if they do not, says why and fails. A script that takes
# the member away calls it directly before that, so that no answer is older than the act. A member whose process does not run has nothing to
# lose: that is read off the process, because a read that fails also means a leader that died a moment ago, a slow disk, or a certificate that
# has expired.
wait_quorum() (
  limit=$1
  pki=/etc/kubernetes/pki
  runs() {
    [ -z "$(own_process etcd)" ] || return 0
    # Where systemd does not say so, it is taken to run.
    pid=$(systemctl show -p MainPID --value etcd 2>/dev/null) || return 0
    [ "${pid:-0}" -gt 0 ]
  }
  # A host without this mark has not joined its cluster yet: the quorum does not depend on its member.
  { [ -e /var/lib/clusterctl/established ] && runs; } || exit 0
  # If the client certificate for health checks is lost, another certificate of the same CA is used.
  pair=
  for name in etcd/healthcheck-client apiserver-etcd-client etcd/peer etcd/server; do
    if [ -z "$pair" ] && [ -r "$pki/$name.crt" ] && [ -r "$pki/$name.key" ]; then pair=$pki/$name; fi
  done
  if ! [ -x /usr/local/bin/etcdctl ] || [ -z "$pair" ]; then
    echo "the etcd member of this host runs, and the others cannot be asked: /usr/local/bin/etcdctl or $pki/etcd/healthcheck-client.key is missing" >&2
    exit 1
  fi
  # etcd ENDPOINTS WORD...: standard output alone is an answer; versions of etcdctl say different things beside it.
  etcd() {
    endpoints=$1
    shift
    ETCDCTL_CACERT=$pki/etcd/ca.crt ETCDCTL_CERT=$pair.crt ETCDCTL_KEY=$pair.key \
      /usr/local/bin/etcdctl --endpoints "$endpoints" --command-timeout 2s --dial-timeout 1s "$@" 2>/dev/null
  }
  own=https://127.0.0.1:2379
  # Succeeds if the other members keep the quorum, and otherwise leaves in $said why that is not known.
  spared() {
    self=$(etcd $own endpoint status -w json | sed -n 's/.*"member_id":\([0-9]*\).*/\1/p')
    [ -n "$self" ] || { said="the etcd member of this host runs and does not answer"; return 1; }
    self=$(printf %x "$self")
    # A line per member: id, status, name, peer URL, client URL, learner or not.
    voters=$(etcd $own member list | grep 'false$') || voters=
    [ -n "$voters" ] || { said="the list of etcd members cannot be read (no leader?)"; return 1; }
    members=$(printf '%s\n' "$voters" | grep -c .)
    others=$(printf '%s\n' "$voters" | grep -v "^$self," | cut -d, -f5 | tr -d ' ' | grep .) || others=
    # Every member is asked for its own health, all at the same time. A healthy member sees a leader.
    healthy=0
    [ -z "$others" ] || healthy=$(etcd "$(printf '%s\n' $others | paste -sd, -)" endpoint health -w json | grep -o '"health":true' | grep -c .) || :
    quorum=$((members / 2 + 1))
    # A cluster of two members has no quorum without one of them. If the other member is healthy, writes wait and no data is lost.
    need=$quorum
    [ $need -lt "$members" ] || need=$((members - 1))
    said="of $members etcd members $healthy would be left healthy without this one, and $need are needed (quorum $quorum)"
    [ "$healthy" -ge $need ]
  }
  end=$(($(date +%s) + limit))
  until spared; do
    [ "$(date +%s)" -lt $end ] || { echo "$said; see the etcd members with 'clusterctl status' and bring them back first" >&2; exit 1; }
    sleep 0.5
    # The process of this host's member may have ended meanwhile.
    runs || exit 0
  done
)
