# Makes this host's etcd member the leader, and waits until it leads.
# Argument: `limit` in seconds. Attempts are repeated until then, because etcd refuses to move the leadership to a member that has not caught up yet.
end=$(($(date +%s) + limit))
# Succeeds if this host's member leads. Otherwise asks the present leader to hand the leadership over, and leaves in $said why the member does not
# lead yet.
leads() {
  status=$(own_member --command-timeout 5s endpoint status -w json 2>/dev/null) || { said="the etcd member of this host does not answer"; return 1; }
  self=$(number member_id "$status") leader=$(number leader "$status")
  [ "${self:-none}" != "$leader" ] || return 0
  list=$(own_member --command-timeout 5s member list 2>/dev/null) || { said="the list of etcd members cannot be read (no leader?)"; return 1; }
  self=$(printf %x "${self:-0}") leader=$(printf %x "${leader:-0}")
  case "
$list
" in
    *"
$self, started, "*) ;;
    *) said="the etcd member of this host is not in the list of members"; return 1 ;;
  esac
  printf '%s\n' "$list" | grep "^$self, " | grep -q 'false$' || { said="the etcd member of this host is a learner, which cannot lead"; return 1; }
  own_member --command-timeout 3s endpoint health >/dev/null 2>&1 || { said="the etcd member of this host is not healthy"; return 1; }
  url=$(printf '%s\n' "$list" | grep "^$leader, " | cut -d, -f5 | tr -d ' ')
  [ -n "$url" ] || { said="etcd has no leader"; return 1; }
  still_ours
  said=$($ETCDCTL --endpoints "$url" --dial-timeout 2s --command-timeout 10s move-leader "$self" 2>&1) || return 1
  said="it was asked to lead, and does not"
  return 1
}
until leads; do
  [ "$(date +%s)" -lt $end ] || { echo "the etcd member of this host does not lead after $limit s: $(printf '%s\n' "$said" | tail -n 3)" >&2; exit 1; }
  sleep 0.3
done
