# Head of scripts that ask the API with kubectl, as the cluster's admin.
# Argument: `address` of the API server. Defines `k`, which runs kubectl, and `apply`, which takes
# options of kubectl apply and reads objects from its input. Both retry for half a minute if the cause of a failure may be temporary: the leadership
# of etcd has just moved, a new API server has no schema yet, the CustomResourceDefinition of an object was applied a moment ago, or the pod of a
# webhook has just moved to another node.
# From Kubernetes 1.29 on, admin.conf has no rights until its group is bound to a role, so super-admin.conf is used if it exists.
conf=$SUPER_ADMIN_CONF
[ -r $conf ] || conf=$ADMIN_CONF
# ask WORD...: runs kubectl for at most $longest seconds. kubectl repeats a request that timed out, so its --request-timeout does not limit the whole
# call.
longest=40
ask() {
  within $longest $KUBECTL --kubeconfig $conf --server "https://$address:$API_SERVER_PORT" --cache-dir $KUBECTL_CACHE_DIR "$@" || {
    set -- $?
    [ "$1" != 124 ] || echo "the API server at $address:$API_SERVER_PORT does not answer it" >&2
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
