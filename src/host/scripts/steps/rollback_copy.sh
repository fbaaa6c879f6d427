# Copies the program and the files of the running etcd service before they are replaced. etcd_service.sh puts them back if etcd does not answer with
# the new ones.
# Argument: `limit` is the time in seconds for which the script waits for a change of the etcd service that an earlier run began.
spare=$SPARE_DIR
stamp=$UNITS_DIR/etcd
# Succeeds if no change of the etcd service is under way. The host itself finishes a change that an interrupted run began.
settled() { ! busy clusterctl-unit-etcd.service; }
comes "$limit" settled || {
  echo "the change of etcd's service that an earlier run began is still under way after $limit s; nothing was changed; see \`systemctl status clusterctl-unit-etcd\`" >&2
  exit 1
}
still_ours
pid=$(systemctl show -p MainPID --value etcd)
# No copy is made in these cases. If etcd runs from another file than /usr/local/bin/etcd, an interrupted run has already replaced the files and
# copied the previous ones. If a file is missing or etcd does not answer, the present state is not worth a copy.
[ "${pid:-0}" -gt 0 ] && [ "/proc/$pid/exe" -ef $ETCD ] || exit 0
for f in $stamp $ETCD_ENV $ETCD_UNIT $BINARIES_DIR/etcd; do [ -e $f ] || exit 0; done
[ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' http://127.0.0.1:$ETCD_METRICS_PORT/health)" = 200 ] || exit 0
rm -rf $spare.new
mkdir -m 0700 $spare.new
umask 077
cp -p $ETCD $ETCD_ENV $ETCD_UNIT $spare.new/
cp -p $stamp $spare.new/stamp
sed -n 2p $BINARIES_DIR/etcd >$spare.new/origin
# etcd_service.sh compares these digests before it puts anything back.
(cd $spare.new && sha256sum etcd etcd.env etcd.service stamp origin >digests)
sync $spare.new/* $spare.new
rm -rf $spare
mv -T $spare.new $spare
sync ${spare%/*}
