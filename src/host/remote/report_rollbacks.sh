# Prints once which manifests this host has put back by itself, and fails if there are any. swap.sh has written the messages.
# $1: the ID of the run in which that happened; `*` for any run.
report_rollbacks() {
  back=0
  for f in /var/lib/clusterctl/static-pods/*.failed.$1; do
    [ -e "$f" ] || continue
    back=1
    # A message that could not be printed is kept for the next run.
    cat "$f" >&2 && rm -f "$f" || :
  done
  return $back
}
