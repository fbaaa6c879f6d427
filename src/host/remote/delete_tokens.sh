# Deletes bootstrap tokens; see kubectl.sh. Rest: token ids.
for id; do set -- "$@" "bootstrap-token-$id"; shift; done
k -n kube-system delete secret --ignore-not-found "$@" >/dev/null
