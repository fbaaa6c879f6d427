# Sets the labels, annotations, taints and pod subnet that clusterctl owns on a node; see kubectl.sh.
# Argument: `node`. The words are taints `key=value:effect` that the node gets, and taints `key=value:effect-` that it loses.
# Input: a Node object to apply. Its annotation with the taints of the inventory is changed only after those that are no longer in it are gone.
take_input
for taint; do
  case $taint in *-) k taint node "$node" "$taint" >/dev/null ;; esac
done
apply
for taint; do
  shift
  case $taint in *-) ;; *) set -- "$@" "$taint" ;; esac
done
[ $# = 0 ] || k taint node "$node" --overwrite "$@" >/dev/null
