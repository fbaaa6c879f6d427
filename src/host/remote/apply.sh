# Head of scripts that apply objects as clusterctl's. $1, taken off: API server address. Leaves k (kubectl), and apply, which takes kubectl's
# options and objects on input.
# Until its group is bound, from 1.29 on, admin.conf may do nothing.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
address=$1
shift
k() { /usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir /run/clusterctl-kubectl --request-timeout 30s "$@"; }
# A current API server that has just come up has no schema to show for a moment: asked again, it has.
apply() {
  objects=$(cat)
  end=$(($(date +%s) + 30))
  until said=$(printf '%s\n' "$objects" | k apply --server-side --force-conflicts --field-manager clusterctl -f - "$@" 2>&1 >/dev/null); do
    case $said in *'unable to handle the request'*) [ "$(date +%s)" -ge $end ] ;; *) : ;; esac && { echo "$said" >&2; return 1; }
    sleep 0.3
  done
}
