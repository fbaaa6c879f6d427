# Enables a unit and (re)starts it with its present files, then remembers with which. $1: unit. $2: digest. $3: restart or reload.
# $4: port where it must listen, or nothing. $5: seconds for which etcd is watched. $6: etcd_service.sh. $7: seconds until etcd must serve.
unit=$1 digest=$2 how=$3 port=$4
# A script whose run was killed may still be at it: one at a time.
exec 8>"/run/clusterctl-unit-$unit.lock"
flock 8
# Each of these has systemd read all of its units again, part of a second each: only where there is something to it.
# A mask that an interrupted installation left.
[ ! -L "/run/systemd/system/$unit.service" ] || systemctl unmask -q --runtime "$unit"
[ "$(systemctl show -p NeedDaemonReload --value "$unit")" = no ] || systemctl daemon-reload
[ "$(systemctl is-enabled "$unit" 2>/dev/null)" = enabled ] || systemctl enable -q "$unit"
if [ "$unit" = etcd ] && [ -d /var/lib/clusterctl/spare ]; then
  printf '%s' "$6" >/var/lib/clusterctl/spare/service.sh
  # In a unit of its own, so that it ends well even if nobody watches any more.
  exec systemd-run --quiet --wait --pipe --collect --unit clusterctl-unit-etcd \
    /bin/sh /var/lib/clusterctl/spare/service.sh "$digest" "$7" "$5" >&2
fi
[ "$unit" != etcd ] || hand_over
[ "$how" = reload ] && how=reload-or-restart
if ! out=$(systemctl "$how" "$unit" 2>&1); then
  echo "$out" >&2
  journalctl -u "$unit" -n 15 --no-pager -o cat >&2 2>/dev/null || :
  exit 1
fi
tries=0
until systemctl is-active -q "$unit"; do
  tries=$((tries + 1))
  if [ $tries -gt 150 ]; then
    journalctl -u "$unit" -n 15 --no-pager -o cat >&2 2>/dev/null || :
    exit 1
  fi
  sleep 0.2
done
if [ "$unit" = containerd ]; then
  # Active is not yet serving.
  tries=0
  until ctr version >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 150 ] || { echo "containerd does not answer on its socket" >&2; exit 1; }
    sleep 0.1
  done
fi
listens() { [ -z "$port" ] || ss -Hltn "sport = :$port" | grep -q .; }
tries=0
until listens; do
  tries=$((tries + 1))
  # A program may refuse in a reload what it takes at a start.
  [ $tries != 15 ] || systemctl restart "$unit"
  if [ $tries -gt 50 ]; then
    echo "$unit does not listen on port $port" >&2
    journalctl -u "$unit" -n 15 --no-pager -o cat >&2 2>/dev/null || :
    exit 1
  fi
  sleep 0.2
done
mkdir -p /var/lib/clusterctl/units
printf '%s\n' "$digest" >"/var/lib/clusterctl/units/.$unit"
mv -f "/var/lib/clusterctl/units/.$unit" "/var/lib/clusterctl/units/$unit"
