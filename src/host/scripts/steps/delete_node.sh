# Deletes a Node object; see kubectl.sh. Argument: `node`.
k delete node "$node" --ignore-not-found --wait=false >/dev/null
