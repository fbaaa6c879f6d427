# Starts components of the control plane that restore_stop.sh has stopped.
# Arguments, see also restore_mark.sh and aside.sh: `stage` that this host then has reached; `url`, which answers 200 once the first component is
# ready, or empty if it is not waited for; and `limit` in seconds. The words are the components that are static pods.
my_turn
for c; do
  # A process from before the restore must not come back: an API server would serve what it remembers.
  [ -e "$dir/$c.yaml" ] || for pid in $(own_processes "$c"); do kill -KILL "$pid" 2>/dev/null || :; done
done
put_back "$@"
ready() { code=$(curl -sk -m 3 -o /dev/null -w '%{http_code}' "$url") || :; [ "$code" = 200 ]; }
if [ -n "$url" ] && [ -e "$dir/$1.yaml" ]; then
  await "$limit" "$1" ready || {
    echo "$1 does not serve at $url after $limit s: it answers ${code:-nothing}; its last lines:" >&2
    last_lines "$1" >&2
    exit 1
  }
fi
mark "$stage"
