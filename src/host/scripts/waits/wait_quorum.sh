# Waits until the other etcd members have the quorum without this host's member; see quorum.sh. Argument: `limit` in seconds.
wait_quorum "$limit"
