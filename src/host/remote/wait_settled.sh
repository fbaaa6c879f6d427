# Waits until the host has watched its new static pods for long enough. $1: seconds.
# The watch itself is the host's own; see static_pod.sh.
state=/var/lib/clusterctl/static-pods
end=$(($(date +%s) + $1))
watched() { systemctl list-units --plain --no-legend --state=active,activating 'clusterctl-watch-*' 2>/dev/null | grep -q .; }
while watched; do
  [ "$(date +%s)" -lt $end ] || { echo "the watch over new static pods does not end" >&2; exit 1; }
  sleep 0.3
done
# A watch that ended with its machine never came to a word: what serves now is what stays.
rm -f $state/*.old
put_back '*'
