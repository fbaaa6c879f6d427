# Inserts rules that reject connections for a while. They are iptables rules. Each rule is recorded on the host before it is inserted, and stays
# recorded until it is removed. A client whose connection is rejected tries another API server at once. Without the rule, the connection would wait in
# the kernel's queue and be reset when the API server exits.
mark='-m comment --comment clusterctl-swap -j REJECT --reject-with tcp-reset'
# refuse TOOL CHAIN_AND_MATCHES: records and inserts a rule; TOOL is iptables or ip6tables. Succeeds even if the rule cannot be inserted on this host.
refuse() {
  echo "$1 $2" >>"$state/$component.rules" || return 0
  "$1" -w 2 -I $2 $mark 2>/dev/null || :
}
# removed TOOL CHAIN_AND_MATCHES: deletes a rule. Status 4 of iptables means that another program holds the xtables lock, so the deletion is retried,
# and fails after eight attempts. Any other failure means that there is no such rule.
removed() {
  attempts=0
  while :; do
    "$1" -w 2 -D $2 $mark 2>/dev/null && return 0 || [ $? = 4 ] || return 0
    attempts=$((attempts + 1))
    [ $attempts -lt 8 ] || return 1
    sleep 0.3
  done
}
# accept_again: removes the recorded rules of $component. Rules that cannot be removed stay recorded.
accept_again() {
  [ -e "$state/$component.rules" ] || return 0
  left=
  while read -r tool connections; do
    removed "$tool" "$connections" || left="$left$tool $connections
"
  done <"$state/$component.rules"
  if [ -z "$left" ]; then rm -f "$state/$component.rules"; return 0; fi
  echo "the xtables lock is held by another program: these rules still reject connections, and the next run removes them:" >&2
  printf %s "$left" >&2
  # If the new record cannot be written whole, the old record stays. It may name rules that are already removed, which does no harm.
  printf %s "$left" >"$state/.$component.rules" && mv -f "$state/.$component.rules" "$state/$component.rules" || :
}
# refuse_balancers: rejects new connections to port 6443 from the addresses in $balancers, or from everywhere if it is `all`, before an API server or
# its etcd stops. Connections from this host and existing connections are not rejected.
refuse_balancers() {
  for from in $(echo "$balancers" | tr , ' '); do
    tools=iptables
    case $from in all) from=; tools='iptables ip6tables' ;; *:*) tools=ip6tables ;; esac
    for tool in $tools; do
      refuse $tool "INPUT -p tcp --dport $API_SERVER_PORT --syn ${from:+-s $from} ! -i lo"
    done
  done
}
# refuse_kubelet: rejects the kubelet's connections to the API server. Before the kubelet starts a static pod, it asks the API about that pod. It
# waits 30 s or longer if it is connected to the API server of this host while that API server has no etcd. So the kubelet's existing connections are
# reset at their next request, and a new connection can reach another API server. If the kubelet knows only the API server of this host and has
# version 1.22 or later, its new connections are rejected as well: such a kubelet then starts the pod without an answer.
refuse_kubelet() {
  at=$(sed -n 's,^ *server: https://,,p' $KUBELET_CONF | head -n 1)
  to=${at##*:}
  at=${at%:*}
  case $to in ''|*[!0-9]*) to=$API_SERVER_PORT ;; esac
  case $at in \[*) at=${at#[} at=${at%]} tool=ip6tables ;; *) tool=iptables ;; esac
  if [ "$to" = $API_SERVER_PORT ] && [ -n "$(ip -o addr show to "${at:-none}" 2>/dev/null)" ] && [ "$(kubelet_minor || :)" -ge 22 ] 2>/dev/null; then
    refuse $tool "OUTPUT -p tcp -d $at --dport $to --syn"
  fi
  ss -Htnp state established "( dport = :$to )" | grep '"kubelet"' | while read -r _ _ from _; do
    case $from in \[*) tool=ip6tables ;; *) tool=iptables ;; esac
    refuse $tool "OUTPUT -p tcp --sport ${from##*:}"
  done
}
