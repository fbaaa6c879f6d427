# Waits until the etcd member of this host serves, for which it needs the quorum of the restored members.
# Arguments, see also restore_mark.sh and aside.sh: `limit` in seconds.
healthy() { said=$(own_member --command-timeout 3s endpoint health 2>&1); }
await "$limit" etcd healthy || {
  echo "the restored etcd member of this host does not serve after $limit s: $(printf %s "$said" | tail -n 1 | cut -c1-300)" >&2
  if [ -n "$service" ]; then
    journalctl -u "$service" -n 8 --no-pager -o cat >&2 2>/dev/null || :
  else
    last_lines etcd >&2
  fi
  exit 1
}
my_turn
mark etcd-serves
