# Waits until the other etcd members have the quorum without this host's member; see quorum.sh. Argument: $1 is the limit in seconds.
wait_quorum "$1"
