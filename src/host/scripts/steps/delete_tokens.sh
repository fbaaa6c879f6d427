# Deletes bootstrap tokens; see kubectl.sh. The words are the IDs of the tokens.
for id; do set -- "$@" "bootstrap-token-$id"; shift; done
k -n kube-system delete secret --ignore-not-found "$@" >/dev/null
