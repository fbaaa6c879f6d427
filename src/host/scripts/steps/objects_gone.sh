# Deletes objects that have left the inventory, and then changes the record of the objects that clusterctl has applied; see kubectl.sh. An object that
# clusterctl has not applied, or that somebody else has applied since instead, is not deleted. Nor is an object without any field, because the API
# server records no field manager for it.
# Input: for each object a line with its API version, kind, namespace and name as JSON; then `---`; then the ConfigMap with the record.
take_input
# of OBJECT WORD...: runs kubectl with the object as its input, and repeats the call as `k` does; the output is in $out.
of() {
  object=$1
  shift
  until_then=$(($(date +%s) + 30 * ${CLUSTERCTL_PATIENCE:-1}))
  until out=$(printf '%s\n' "$object" | once "$@" 2>&1); do
    # Where the kind of the object is unknown, its CustomResourceDefinition is gone, and all objects of the kind went with it.
    case $out in *'no matches for kind'*|*'resource mapping not found'*) out=; return 0 ;; esac
    passes "$out" || return 1
  done
}
applied='.metadata.managedFields[?(@.operation=="Apply")].manager'
while IFS= read -r gone; do
  [ "$gone" != --- ] || break
  # kubectl answers a request for an object on its input with a list.
  of "$gone" get --ignore-not-found -f - -o "jsonpath={.items[*]$applied} {$applied}"
  case " $(printf '%s' "$out" | tr '\n' ' ') " in *' clusterctl '*) ;; *) continue ;; esac
  still_ours
  of "$gone" delete --ignore-not-found --timeout "$((30 * ${CLUSTERCTL_PATIENCE:-1}))s" -f -
done
apply
