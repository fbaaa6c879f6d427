# Deletes bootstrap tokens; see kubectl.sh, which removes the address of the API server from the arguments. The other arguments are the IDs of the
# tokens.
for id; do set -- "$@" "bootstrap-token-$id"; shift; done
k -n kube-system delete secret --ignore-not-found "$@" >/dev/null
