# Sets what we own on a node; see kubectl.sh. $1, by then: node. Input: the node as an object to apply. Rest: taints `key=value:effect`.
take_input
node=$1
shift
apply
[ $# = 0 ] || k taint node "$node" --overwrite "$@" >/dev/null
