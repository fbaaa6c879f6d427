# node_of SERVER NODE: reads the Node with the kubelet's own certificate $cert. Sets $answer to the response of the API server at the URL SERVER, or
# to curl's error, and $body to $answer without spaces and line ends.
node_of() {
  answer=$(curl -sS -m 3 --cacert $PKI_DIR/ca.crt --cert $cert --key $cert "$1/api/v1/nodes/$2" 2>&1) || :
  body=$(printf %s "$answer" | tr -d ' \n')
}
# node_ready BODY: succeeds if the present kubelet process has reported its node as Ready; otherwise leaves the reason in $said. The report of an
# earlier kubelet process stays in the API for most of a minute, so a report from before the start of the present process does not count. BODY: the
# Node as JSON without spaces and line ends.
node_ready() {
  pid=$(systemctl show -p MainPID --value kubelet) || { said="systemd does not say whether its kubelet runs"; return 1; }
  [ "${pid:-0}" -gt 0 ] || { said="its kubelet does not run"; return 1; }
  # The JSON fields of a Node condition are in the order type, status, lastHeartbeatTime.
  at=$(printf %s "$1" | grep -o '"type":"Ready","status":"True","lastHeartbeatTime":"[^"]*"' | cut -d'"' -f12)
  [ -n "$at" ] || { said="not Ready: $(printf %s "$1" | grep -o '"type":"Ready"[^}]*' | head -c 400)"; return 1; }
  began=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)
  began=$(awk -v now="$(date +%s)" -v began="$began" -v hz="$(getconf CLK_TCK)" '{print int(now - $1 + began / hz)}' /proc/uptime)
  [ "$(date -d "$at" +%s)" -ge "$began" ] && return 0
  said="its kubelet has said nothing since it started"
  return 1
}
