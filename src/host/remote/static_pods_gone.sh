# Takes static pods away and waits until their processes have ended, so that each ends its requests in peace. $1: seconds. Rest: components.
limit=$1
shift
for c in "$@"; do rm -f "/etc/kubernetes/manifests/$c.yaml"; done
# Without a kubelet nobody ends them; what follows will.
systemctl is-active -q kubelet || exit 0
end=$(($(date +%s) + limit))
for c in "$@"; do
  comm=$(printf %.15s "$c")
  while pgrep -x "$comm" >/dev/null; do
    [ "$(date +%s)" -lt $end ] || { echo "$c still runs $limit s after its manifest was removed" >&2; exit 1; }
    sleep 0.2
  done
done
