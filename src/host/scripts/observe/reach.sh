# Tries which ports of other hosts this host reaches, so that a firewall between two hosts is found before it is in the way. Changes nothing: the
# program that listens for the time of the check ends with the script.
# Argument: `address` of this host, an IPv6 address in brackets.
# Words: the ports on which this host listens, then `,`; an address and a port for each connection to try, then `,`; and the addresses of other nodes
# that should be in the same layer-2 network.
# Output: `listens PORT` for each port, then `ready`. After a line on the input, which is sent when all hosts are ready: `blocked ADDRESS PORT REASON`
# for each connection that was not possible twice, `routed ADDRESS GATEWAY` for each node behind a gateway, then `tried`. After another line on the
# input: `firewall NAME` for each firewall that is active, and `rule RULE` for some rules that drop or reject packets. The script ends when its input
# ends.
export LC_ALL=C
listen='' ports='' listener=''
while [ "$1" != , ]; do listen="$listen -l $address:$1" ports="$ports $1"; shift; done
shift
hears() { grep -qhE ":$(printf %04X "$1") 0+:0000 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null; }
all_hear() { for port in $ports; do hears "$port" || return 1; done; }
none_hears() { for port in $ports; do ! hears "$port" || return 1; done; }
# The program of a connection that was made just now holds the sockets for an instant longer than the listener.
stop() {
  [ -n "$listener" ] || return 0
  kill "$listener" 2>/dev/null
  wait "$listener" 2>/dev/null
  tries=0
  until none_hears || [ $tries = 60 ]; do tries=$((tries + 1)); sleep 0.05; done
}
trap stop EXIT
trap 'exit 1' HUP INT TERM
if [ -n "$ports" ] && command -v systemd-socket-activate >/dev/null; then
  # The shell splits $listen into words on purpose. Each connection starts a program that ends at once.
  timeout 120 systemd-socket-activate --accept $listen /bin/true </dev/null >/dev/null 2>&1 &
  listener=$!
  tries=0
  until all_hear || [ $tries = 60 ] || ! kill -0 $listener 2>/dev/null; do tries=$((tries + 1)); sleep 0.05; done
  ! all_hear || for port in $ports; do echo "listens $port"; done
fi
echo ready
read -r _ || exit 0
longest=$((5 * ${CLUSTERCTL_PATIENCE:-1}))
# once ADDRESS PORT: connects and closes the connection; on failure, prints the reason and returns 1.
once() {
  said=$(timeout "$longest" bash -c ': <>"/dev/tcp/$0/$1"' "$1" "$2" 2>&1) && return
  case $?-$said in
    124-*) echo "no answer within $longest s" ;;
    *refused*) echo refused ;;
    *) printf '%s\n' "$said" | tail -n 1 | sed 's/.*: //' ;;
  esac
  return 1
}
# A packet can be lost, so only a second failure counts.
connect() { once "$1" "$2" >/dev/null || why=$(once "$1" "$2") || echo "blocked $1 $2 $why"; }
pids='' n=0
while [ "$1" != , ]; do
  if command -v bash >/dev/null; then connect "$1" "$2" & pids="$pids $!" n=$((n + 1)); fi
  shift 2
  [ $((n % 256)) != 0 ] || { [ -z "$pids" ] || wait $pids; pids=''; }
done
shift
[ -z "$pids" ] || wait $pids
if [ $# -gt 0 ]; then
  printf 'route get %s\n' "$@" | ip -o -force -batch - 2>/dev/null |
    awk '{ for (i = 2; i < NF && i < 6; i++) if ($i == "via") print "routed", $1, $(i + 1) }'
fi
echo tried
read -r _ || exit 0
! systemctl is-active --quiet firewalld 2>/dev/null || echo firewall firewalld
! ufw status 2>/dev/null | grep -q '^Status: active' || echo firewall ufw
{ iptables-save; ip6tables-save; } 2>/dev/null | grep -E -- '^-A .*-j (DROP|REJECT)' | grep -v KUBE- | head -n 5 | sed 's/^/rule /'
exit 0
