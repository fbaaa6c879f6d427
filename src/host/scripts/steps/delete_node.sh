# Deletes a Node object; see kubectl.sh, which removes the address of the API server from the arguments. Argument after that: $1 is the node.
k delete node "$1" --ignore-not-found --wait=false >/dev/null
