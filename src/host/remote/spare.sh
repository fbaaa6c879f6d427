# Keeps what etcd's service runs as now, to be put back by etcd_service.sh if what comes next does not serve.
spare=/var/lib/clusterctl/spare
stamp=/var/lib/clusterctl/units/etcd
# A change that an interrupted run began is still the host's own to finish.
while systemctl is-active -q clusterctl-unit-etcd; do sleep 0.3; done
pid=$(systemctl show -p MainPID --value etcd)
# Where the files are not those it was started with, an interrupted run has kept them already; where one was deleted or it does not serve,
# there is nothing worth keeping.
[ "${pid:-0}" -gt 0 ] && [ "/proc/$pid/exe" -ef /usr/local/bin/etcd ] || exit 0
for f in $stamp /etc/etcd.env /etc/systemd/system/etcd.service /var/lib/clusterctl/binaries/etcd; do [ -e $f ] || exit 0; done
[ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' http://127.0.0.1:2381/health)" = 200 ] || exit 0
rm -rf $spare.new
mkdir -m 0700 $spare.new
umask 077
cp -p /usr/local/bin/etcd /etc/etcd.env /etc/systemd/system/etcd.service $spare.new/
cp -p $stamp $spare.new/stamp
sed -n 2p /var/lib/clusterctl/binaries/etcd >$spare.new/origin
sync $spare.new/*
rm -rf $spare
mv -T $spare.new $spare
