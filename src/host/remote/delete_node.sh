# Deletes a node's object; see kubectl.sh. $1, by then: node.
k delete node "$1" --ignore-not-found --wait=false >/dev/null
