# Restarts the service of etcd with new files, watches it, and puts the previous files back if it fails. unit.sh starts this script in a transient
# systemd unit.
# Arguments: `digest` of the files; `limit` in seconds within which etcd must answer; and `watch`, the time in seconds for which etcd must then stay
# up.
# systemd's DefaultEnvironment may name a proxy, which must not receive requests to this host's own etcd, so the proxy variables are removed.
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY
set -u
spare=$SPARE_DIR
stamp=$UNITS_DIR/etcd
served=
serves() { [ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' http://127.0.0.1:$ETCD_METRICS_PORT/health)" = 200 ] && served=yes; }
# Prints how often systemd has restarted etcd by itself. A restart by command does not always reset this count, so only its changes are used.
restarts() { count=$(systemctl show -p NRestarts --value etcd); echo "${count:-0}"; }
now() { date +%s; }
# wait_serving SECONDS: waits until etcd has answered three checks in a row. Fails after SECONDS, or when systemd has restarted etcd twice.
wait_serving() {
  end=$(($(now) + $1)) good=0 before=$(restarts)
  until [ $good -ge 3 ]; do
    [ "$(now)" -lt $end ] && [ $(($(restarts) - before)) -lt 2 ] || return 1
    if serves; then good=$((good + 1)); else good=0; fi
    sleep 0.3
  done
}
# write FROM TO: copies the file FROM to TO. If that fails, TO is unchanged.
write() {
  part=${2%/*}/.${2##*/}.back
  cp -p "$1" "$part" && cmp -s "$1" "$part" && sync "$part" && mv -f "$part" "$2" && sync "${2%/*}"
}
version_of() { minor_of "$("$1" --version 2>/dev/null | sed -n 's/^etcd Version: //p')"; }
# has_no_way_back: succeeds, and prints why, if the previous etcd would refuse to start with the present data.
has_no_way_back() {
  was=$(version_of $spare/etcd) is=$(version_of $ETCD)
  { [ -n "$was" ] && [ -n "$is" ] && is_older "$was" "$is"; } || return 1
  cluster=$(cluster_minor https://127.0.0.1:$ETCD_CLIENT_PORT $members)
  # If no member reports the cluster version and the new etcd has answered once, the cluster version is assumed to be raised, because a cluster of one
  # member raises it within seconds.
  [ -n "$cluster" ] || [ -z "$served" ] || cluster=$is
  [ -n "$cluster" ] && is_older "$was" "$cluster" || return 1
  echo "etcd went from $was to $is and the cluster version is $cluster: etcd $was would refuse to start (invalid downgrade), so the new program stays"
  echo "the way back is the snapshot of etcd that was saved on the operator's machine before the upgrade: restore it with etcdutl snapshot restore"
}
# back REASON: prints the reason, puts the previous etcd executable and its files back, waits until etcd answers with them, and exits with 1. They are
# not put back if the previous etcd would refuse to start, or if their copy is damaged.
back() {
  echo "$1"
  said=$(journalctl -u etcd --since "@$began" --no-pager -o cat 2>/dev/null | tail -n 12 | cut -c1-400)
  [ -z "$said" ] || printf 'last lines of its log:\n%s\n' "$said"
  if has_no_way_back; then rm -rf $spare; exit 1; fi
  if ! (cd $spare && sha256sum -c --status digests); then
    echo "the copy of the previous etcd in $spare is not whole; the new one stays"
    exit 1
  fi
  # The executable is replaced last: if a copy fails before that, the new executable may still start with a mixture of old and new files.
  if ! { write $spare/etcd.env $ETCD_ENV && write $spare/etcd.service $ETCD_UNIT && write $spare/etcd $ETCD; }; then
    echo "the previous etcd could not be put back (no space on the disk?); a copy of it is in $spare"
    exit 1
  fi
  printf '%s\n%s\n%s\n' $ETCD "$(cat $spare/origin)" "$(stat -Lc '%s %Y %Z %i' $ETCD)" >$BINARIES_DIR/.etcd.back &&
    mv -f $BINARIES_DIR/.etcd.back $BINARIES_DIR/etcd
  systemctl daemon-reload
  systemctl restart etcd
  if wait_serving $((limit * 2)); then echo "the previous etcd is back and serves"; else echo "the previous etcd is back and does not serve yet"; fi
  mv -f $spare/stamp $stamp
  rm -rf $spare
  exit 1
}
began=$(now)
members=$(client_urls)
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
