# Prints once which manifests this host has put back by itself, and fails if there are any. swap.sh has written the messages.
# report_rollbacks RUN: RUN is the ID of the run whose manifests were replaced by the previous ones; `*` means any run.
report_rollbacks() {
  back=0
  for f in $STATIC_PODS_DIR/*.failed.$1; do
    [ -e "$f" ] || continue
    back=1
    # A message that could not be printed is kept for the next run.
    cat "$f" >&2 && rm -f "$f" || :
  done
  return $back
}
