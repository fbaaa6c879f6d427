# Tells what this host has put back by itself since, in the words of swap.sh, once. $1: the run in which; `*` for any. Fails where it has.
put_back() {
  back=0
  for f in /var/lib/clusterctl/static-pods/*.failed.$1; do
    [ -e "$f" ] || continue
    cat "$f" >&2
    rm -f "$f"
    back=1
  done
  return $back
}
