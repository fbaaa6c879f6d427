# Sets the labels, annotations, taints and pod subnet that clusterctl owns on a node; see kubectl.sh, which removes the address of the API server from
# the arguments. Arguments after that: $1 is the node, and the others are taints `key=value:effect`.
# Input: a Node object to apply.
take_input
node=$1
shift
apply
[ $# = 0 ] || k taint node "$node" --overwrite "$@" >/dev/null
