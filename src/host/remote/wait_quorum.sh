# Waits until the other etcd members can do without this host's; see quorum.sh. $1: seconds.
wait_quorum "$1"
