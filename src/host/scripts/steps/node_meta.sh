# Sets the labels, annotations, taints and pod subnet that clusterctl owns on a node; see kubectl.sh.
# Argument: `node`. The words are taints `key=value:effect`.
# Input: a Node object to apply.
take_input
apply
[ $# = 0 ] || k taint node "$node" --overwrite "$@" >/dev/null
