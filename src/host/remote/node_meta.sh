# Sets the labels, annotations, taints and pod subnet that clusterctl owns on a node; see kubectl.sh, which removes the address from the arguments.
# After that, $1: the node.
# Input: a Node object to apply. The other arguments are taints `key=value:effect`.
take_input
node=$1
shift
apply
[ $# = 0 ] || k taint node "$node" --overwrite "$@" >/dev/null
