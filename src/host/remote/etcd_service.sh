# What a host does by itself to restart etcd's service with new files, to watch it, and to put the previous ones back; see unit.sh.
# $1: digest of what it is started with. $2: seconds until it must serve. $3: seconds for which it must stay up.
set -u
digest=$1 limit=$2 watch=$3
spare=/var/lib/clusterctl/spare
stamp=/var/lib/clusterctl/units/etcd
serves() { [ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' http://127.0.0.1:2381/health)" = 200 ]; }
# How often systemd had to start it anew by itself; being told to does not always begin the count at nothing.
restarts() { systemctl show -p NRestarts --value etcd; }
now() { date +%s; }
# Waits until it serves, three times in a row. One that ended twice by then is not waited for any longer.
wait_serving() {
  end=$(($(now) + $1)) good=0 before=$(restarts)
  until [ $good -ge 3 ]; do
    [ "$(now)" -lt $end ] && [ $(($(restarts) - before)) -lt 2 ] || return 1
    if serves; then good=$((good + 1)); else good=0; fi
    sleep 0.3
  done
}
put() { cp -p "$spare/${1##*/}" "${1%/*}/.${1##*/}.back" && sync "${1%/*}/.${1##*/}.back" && mv -f "${1%/*}/.${1##*/}.back" "$1"; }
# Puts the previous program and files back and sees them serve.
back() {
  echo "$1"
  said=$(journalctl -u etcd --since "@$began" --no-pager -o cat 2>/dev/null | tail -n 12 | cut -c1-400)
  [ -z "$said" ] || printf 'last lines of its log:\n%s\n' "$said"
  put /usr/local/bin/etcd
  put /etc/etcd.env
  put /etc/systemd/system/etcd.service
  printf '%s\n%s\n%s\n' /usr/local/bin/etcd "$(cat $spare/origin)" "$(stat -Lc '%s %Y %Z %i' /usr/local/bin/etcd)" >/var/lib/clusterctl/binaries/.etcd.back
  mv -f /var/lib/clusterctl/binaries/.etcd.back /var/lib/clusterctl/binaries/etcd
  systemctl daemon-reload
  systemctl restart etcd
  if wait_serving 120; then echo "the previous etcd is back and serves"; else echo "the previous etcd is back and does not serve yet"; fi
  mv -f $spare/stamp $stamp
  rm -rf $spare
  exit 1
}
began=$(now)
systemctl daemon-reload
hand_over
if ! systemctl restart etcd || ! wait_serving "$limit"; then back "etcd did not serve within $limit s, or ended again and again"; fi
seen=$(restarts) bad=0
while [ "$(now)" -lt $((began + watch)) ] || [ $bad -gt 0 ]; do
  if [ "$(restarts)" != "$seen" ] || [ $bad -ge 9 ]; then back "etcd served at first, and was down again within $watch s"; fi
  if serves; then bad=0; else bad=$((bad + 1)); fi
  sleep 0.5
done
printf '%s\n' "$digest" >${stamp%/*}/.etcd
mv -f ${stamp%/*}/.etcd $stamp
rm -rf $spare
