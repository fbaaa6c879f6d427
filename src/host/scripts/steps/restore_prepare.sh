# Restores the snapshot of etcd, which has been brought to this host, beside the data of this host's member. Nothing that runs is changed.
# Arguments, see also restore_mark.sh: `name` of the member; `cluster`, the value of --initial-cluster; and `peer`, the peer URL of the member.
new=$ETCD_DATA_DIR/.restored work=$RESTORE_DIR/scratch
umask 077
my_turn
# After the exchange, the folder is gone, and the data of the member is the restored one.
case $(reached) in ''|begun|prepared|api-stopped|etcd-stopped) ;; *) exit 0 ;; esac
[ ! -L $new ] || fail "$new is a link, and nothing is written or deleted through a link; nothing was changed"
sum=$(sha256sum <$RESTORE_SNAPSHOT) || fail "the snapshot is not on this host; run the same command again"
[ "${sum%% *}" = "$snapshot" ] || fail "the snapshot on this host is not the one that was sent; run the same command again"
trap 'rm -rf --one-file-system $work' EXIT
trap 'exit 1' HUP INT TERM
mark begun
rm -rf --one-file-system $work $new
mkdir $work
[ -d $ETCD_DATA_DIR ] || mkdir -p -m 0700 $ETCD_DATA_DIR
size=$(stat -Lc %s $RESTORE_SNAPSHOT)
need=$((size / 1024 + 262144))
free=$(df -Pk $ETCD_DATA_DIR/ | awk 'NR == 2 { print $4 }')
[ "$free" -ge $need ] || fail "the restored data needs $((need / 1024)) MiB free below $ETCD_DATA_DIR, and $((free / 1024)) are"
bring_tools $work
# $bump is split into words on purpose.
within 900 "$tool" snapshot restore $RESTORE_SNAPSHOT --data-dir $new --name "$name" --initial-cluster "$cluster" --initial-cluster-token "$token" \
  --initial-advertise-peer-urls "$peer" $bump >$work/said 2>&1 ||
  fail "${tool##*/} does not restore the snapshot: $(tail -n 3 $work/said | cut -c1-400)"
[ -s $new/member/snap/db ] && [ -d $new/member/wal ] || fail "${tool##*/} has restored no data at $new"
# etcd may run as a user of its own, who owns the folder.
chown -R --reference=$ETCD_DATA_DIR $new
find $new -exec sync {} +
sync $ETCD_DATA_DIR
mark prepared
