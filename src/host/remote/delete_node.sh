# Deletes a Node object; see kubectl.sh, which removes the address from the arguments. After that, $1: the node.
k delete node "$1" --ignore-not-found --wait=false >/dev/null
