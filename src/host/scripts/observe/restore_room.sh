# Prints how much space is free for a restore of etcd; changes nothing.
# Output: a line `room KIB KIB`: the free space of the file systems of clusterctl's own folder and of etcd's data.
export LC_ALL=C
free_of() {
  at=$1
  until [ -d "$at" ]; do at=${at%/*}; done
  df -Pk "$at/" | awk 'NR == 2 { print $4 }'
}
echo "room $(free_of $STATE_DIR) $(free_of $ETCD_DATA_DIR)"
