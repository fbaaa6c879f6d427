# Changes etcd's membership by one member, and says when it is done; see hand_over.sh. Run on any control-plane host, through members that stay.
# $1: learn, vote or remove. $2: the member's name. $3: its peer URL. $4: client URLs of other members, by comma. $5: seconds.
what=$1 name=$2 peer=$3 endpoints=$4 limit=$5
e=/etc/kubernetes/pki/etcd
export ETCDCTL_API=3 ETCDCTL_CACERT=$e/ca.crt ETCDCTL_CERT=$e/healthcheck-client.crt ETCDCTL_KEY=$e/healthcheck-client.key
etcd() { /usr/local/bin/etcdctl --command-timeout 5s --dial-timeout 2s "$@"; }
end=$(($(date +%s) + limit))
said=
# Tries again until the deadline: right after a change, etcd refuses the next one for some seconds.
again() {
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "etcd member $name ($peer): $what did not succeed within $limit s: $said" >&2
    if [ "$what" = vote ] && ! pgrep -x etcd >/dev/null; then
      echo "etcd does not run on this host; the kubelet's last errors:" >&2
      journalctl -u kubelet -n 200 --no-pager -o cat 2>/dev/null | grep '^[EF][0-9]' | tail -n 5 >&2 || :
    fi
    exit 1
  fi
  sleep 0.3
}
# A line `ID STATUS LEARNER CLIENT_URL` of the member that has this peer URL, or, when it leaves, this name.
find_member() {
  printf '%s\n' "$list" | while IFS=, read -r id status n p client learner; do
    n=${n# } p=${p# }
    if [ "$p" = "$peer" ] || { [ "$what" = remove ] && [ "$n" = "$name" ]; }; then echo "$id ${status# } ${learner# } ${client# }"; fi
  done | head -n 1
}
# Whether the members that stay are enough of what would be left, asked live.
spare() {
  voters=$(printf '%s\n' "$list" | grep -c 'false$') || :
  left=$((voters - 1))
  need=$((left / 2 + 1))
  # All but this one are asked, also those that leave next.
  others=$(printf '%s\n' "$list" | grep -v "^$id," | cut -d, -f5 | tr -d ' ' | grep . | paste -sd, -)
  healthy=$(etcd --endpoints "$others" endpoint health -w json 2>/dev/null | grep -o '"health":true' | grep -c .) || :
  [ "$healthy" -ge "$need" ] && return 0
  echo "etcd member $name cannot be removed: of the $left members left, $need must be healthy (quorum), and $healthy are" >&2
  exit 1
}
remove() {
  [ "$learner" = true ] || [ "$status" = unstarted ] || { spare; [ -z "$client" ] || hand_over "$client"; }
  said=$(etcd --endpoints "$endpoints" member remove "$id" 2>&1)
}
while :; do
  if ! list=$(etcd --endpoints "$endpoints" member list 2>&1); then said=$list; again; continue; fi
  id= status= learner= client=
  found=$(find_member)
  [ -z "$found" ] || read -r id status learner client <<FOUND
$found
FOUND
  case $what in
    learn)
      if [ -z "$id" ]; then
        said=$(etcd --endpoints "$endpoints" member add "$name" --peer-urls "$peer" --learner 2>&1) && exit 0
      elif [ "$status" = unstarted ] || [ -d /var/lib/etcd/member ]; then
        exit 0
      else
        # It ran before and its data is gone with its machine: a member may never come back without what it promised to remember.
        remove && continue
      fi
      ;;
    vote)
      [ "$learner" = false ] && [ "$status" = started ] && exit 0
      if [ -z "$id" ]; then
        said='it is not in the member list'
      elif [ "$learner" = true ]; then
        said=$(etcd --endpoints "$endpoints" member promote "$id" 2>&1) && continue
      fi
      ;;
    remove)
      [ -n "$id" ] || exit 0
      remove && continue
      ;;
  esac
  again
done
