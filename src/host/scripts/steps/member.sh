# Changes the membership of one etcd member and waits until the change is done; see hand_over.sh. The script can run on any control-plane host, and
# asks members that stay in the cluster. Only the standard output of etcdctl is parsed, because its standard error may contain warnings; standard
# error is used in error messages only.
# Arguments: `action`, which is `learn` (add the member as a learner), `vote` (promote it), `remove`, or `check`, which changes nothing and fails if
# `remove` would be refused; `name` of the member; `peer`, its peer URL; `endpoints`, the client URLs of other members, separated by commas; and
# `limit` in seconds.
errors=$(mktemp /run/clusterctl.XXXXXX)
trap 'rm -f "$errors"' EXIT
etcd() { $ETCDCTL --command-timeout 5s --dial-timeout 2s "$@" 2>"$errors"; }
# change ARGUMENT...: runs `etcdctl member`, and leaves its error message in $said if it fails. The questions before it can take a minute, and another
# run may have taken the lock meanwhile.
change() { still_ours; etcd --endpoints "$endpoints" member "$@" >/dev/null || { said=$(tail -n 3 "$errors"); return 1; }; }
end=$(($(date +%s) + limit))
said=
# Waits before the next attempt, or exits with 1 after the limit. Attempts are repeated because etcd refuses a change for some seconds after the
# previous one.
again() {
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "etcd member $name ($peer): $action did not succeed within $limit s: $said" >&2
    if [ "$action" = vote ] && ! pgrep -x etcd >/dev/null; then
      echo "etcd does not run on this host; the kubelet's last errors:" >&2
      journalctl -u kubelet -n 200 --no-pager -o cat 2>/dev/null | grep '^[EF][0-9]' | tail -n 5 >&2 || :
    fi
    exit 1
  fi
  sleep 0.3
  still_ours
}
# Prints a line `ID STATUS LEARNER CLIENT_URL` for the member with the peer URL $peer or, for `remove` and `check`, with the name $name.
find_member() {
  printf '%s\n' "$list" | while IFS=, read -r id status n p client learner; do
    n=${n# } p=${p# }
    if [ "$p" = "$peer" ] || { case $action in remove|check) true ;; *) false ;; esac && [ "$n" = "$name" ]; }; then echo "$id ${status# } ${learner# } ${client# }"; fi
  done | head -n 1
}
# Checks that enough of the other members are healthy for a quorum without this member, and exits with 1 otherwise.
spare() {
  voters=$(printf '%s\n' "$list" | grep -c 'false$') || :
  left=$((voters - 1))
  need=$((left / 2 + 1))
  # All members except this one are asked for their health, including members that the run removes next.
  others=$(printf '%s\n' "$list" | grep -v "^$id," | cut -d, -f5 | tr -d ' ' | grep . | paste -sd, -)
  healthy=$(etcd --endpoints "$others" endpoint health -w json | grep -o '"health":true' | grep -c .) || :
  [ "$healthy" -ge "$need" ] && return 0
  echo "etcd member $name cannot be removed: of the $left members left, $need must be healthy (quorum), and $healthy are" >&2
  exit 1
}
remove() {
  [ "$learner" = true ] || [ "$status" = unstarted ] || { spare; [ -z "$client" ] || hand_over "$client"; }
  change remove "$id"
}
while :; do
  if ! list=$(etcd --endpoints "$endpoints" member list); then
    said=$(tail -n 3 "$errors")
    again
    continue
  fi
  id= status= learner= client=
  found=$(find_member)
  [ -z "$found" ] || read -r id status learner client <<FOUND
$found
FOUND
  case $action in
    learn)
      if [ -z "$id" ]; then
        change add "$name" --peer-urls "$peer" --learner && exit 0
      elif [ "$status" = unstarted ] || [ -d $ETCD_MEMBER_DIR ]; then
        exit 0
      else
        # The member has run before, and its data was lost with its machine. It must not rejoin without the entries that it acknowledged, so it is
        # removed and then added as a new member.
        remove && continue
      fi
      ;;
    vote)
      [ "$learner" = false ] && [ "$status" = started ] && exit 0
      if [ -z "$id" ]; then
        said='it is not in the member list'
      elif [ "$learner" = true ]; then
        change promote "$id" && continue
      fi
      ;;
    remove)
      [ -n "$id" ] || exit 0
      remove && continue
      ;;
    check)
      [ -z "$id" ] || [ "$learner" = true ] || [ "$status" = unstarted ] || spare
      exit 0
      ;;
  esac
  again
done
