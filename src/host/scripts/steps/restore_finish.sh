# Removes what a restore of etcd needed on this host, and records that the restore has finished. The data from before the restore stays.
# Arguments: see restore_mark.sh.
my_turn
rm -rf --one-file-system $RESTORE_DIR/scratch $RESTORE_MANIFESTS_DIR
[ ! -d $ETCD_DATA_DIR/.restored ] || rmdir $ETCD_DATA_DIR/.restored
rm -f $RESTORE_SNAPSHOT $RESTORE_SNAPSHOT.*.part
mark finished
