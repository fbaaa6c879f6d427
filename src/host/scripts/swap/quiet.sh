# How swap.sh ends a process of the control plane without failing requests that are under way.
# busy PID: succeeds if the API server with this PID has a request to read or a response to send: on one of its connections, bytes were waiting at
# this call and at the previous call. The events of a watch are sent at once and do not count.
busy() {
  earlier=$waiting
  waiting=$(ss -Htnp state established "( sport = :$API_SERVER_PORT )" | grep "pid=$1," | awk '$1 + $2 > 0 {print $4}')
  [ -n "$earlier" ] && [ -n "$waiting" ] && echo "$waiting" | grep -qxF "$earlier"
}
# end_drained PID: ends the API server with this PID when it has answered its last requests. After SIGTERM an API server stops listening, finishes its
# requests, and keeps its watches until the end of its grace period, although clients can begin a watch again elsewhere. So the API server is killed
# once no client has waited for a response for 3 s. Fails after $limit seconds, for example if the kubelet does not send SIGTERM.
end_drained() {
  since='' waiting='' begun=$(date +%s)
  deadline=$(($(date +%s%3N) + limit * 1000))
  while :; do
    is_own "$component" "$1" || return 0
    now=$(date +%s%3N)
    [ "$now" -lt $deadline ] || return 1
    if ss -Hltnp | grep -q "pid=$1,"; then
      since=
      end_if_kept "$1" "$begun"
    elif busy "$1"; then
      since=
    fi
    since=${since:-$now}
    [ $((now - since)) -lt 3000 ] || break
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || :
}
# end_process PID: ends a process of this component as the kubelet would: SIGTERM, and SIGKILL after 30 s. The kubelet then starts another one.
end_process() {
  is_own "$component" "$1" || return 0
  kill -TERM "$1" 2>/dev/null || :
  deadline=$(($(date +%s) + 30 * patience))
  while is_own "$component" "$1"; do
    [ "$(date +%s)" -lt $deadline ] || { kill -KILL "$1" 2>/dev/null || :; return 0; }
    sleep 0.2
  done
}
# Before etcd ends, clients are sent to other API servers, and the script waits up to 5 s until the API server on this host has finished its requests,
# because without etcd it answers none.
relieve() {
  [ -z "$api_is_out" ] || return 0
  api=$(own_process kube-apiserver)
  [ -n "$api" ] || return 0
  refuse_balancers
  refuse_kubelet
  quiet=0 tries=0 waiting=''
  while [ $quiet -lt 4 ] && [ $tries -lt 25 ]; do
    tries=$((tries + 1))
    if busy "$api"; then quiet=0; else quiet=$((quiet + 1)); fi
    sleep 0.2
  done
}
# Waits up to 20 s until the API server on this host is ready with the new etcd; only then are the rules that reject clients removed.
rejoined() {
  [ -n "$api" ] || return 0
  tries=0
  while [ $tries -lt 100 ]; do
    [ "$(curl -sk -m 2 -o /dev/null -w '%{http_code}' https://127.0.0.1:$API_SERVER_PORT/readyz)" != 200 ] || return 0
    tries=$((tries + 1))
    sleep 0.2
  done
}
