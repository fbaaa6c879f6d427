# Head of scripts that ask the API with kubectl, as the cluster's admin. $1, taken off: API server address. Leaves k, which is kubectl, and
# apply, which takes kubectl's options and objects on input. What the API could not take at the very moment is asked again for half a minute:
# etcd's leadership may just have moved, a current API server that has just come up has no schema to show yet, the CustomResourceDefinition of
# an object may have been applied a moment ago, and the pod of a webhook may just have moved to another node.
# Until its group is bound, from 1.29 on, admin.conf may do nothing.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
address=$1
shift
# ask WORD...: kubectl itself, for at most $longest seconds: it repeats a question that was not answered in time, so that its own limits add up.
longest=40
ask() {
  within $longest /usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir /run/clusterctl-kubectl "$@" || {
    set -- $?
    [ "$1" != 124 ] || echo "the API server at $address:6443 does not answer it" >&2
    return "$1"
  }
}
once() { ask --request-timeout "$((30 * ${CLUSTERCTL_PATIENCE:-1}))s" "$@"; }
passes() {
  case $1 in
    *'unable to handle the request'*|*'etcdserver: leader changed'*|*'etcdserver: request timed out'*|*'raft proposal dropped'*|\
    *'no matches for kind'*|*'failed calling webhook'*)
      [ "$(date +%s)" -lt $until_then ] && sleep 0.3 && still_ours && return 0 ;;
  esac
  printf '%s\n' "$1" >&2
  return 1
}
k() {
  until_then=$(($(date +%s) + 30 * ${CLUSTERCTL_PATIENCE:-1}))
  until { said=$(once "$@" 2>&1 >&3); } 3>&1; do passes "$said" || return 1; done
}
apply() {
  until_then=$(($(date +%s) + 30 * ${CLUSTERCTL_PATIENCE:-1}))
  objects=$(cat)
  until said=$(printf '%s\n' "$objects" | once apply --server-side --force-conflicts --field-manager clusterctl -f - "$@" 2>&1 >/dev/null); do
    passes "$said" || return 1
  done
}
