# Waits until the other etcd members have the quorum without this host's member; see quorum.sh. $1: the limit in seconds.
wait_quorum "$1"
