# probes.sh: sends requests to a cluster while it is changed, and checks whether any of them failed. Sourced by lib.sh. probe.py sends requests to
# the API and, to detect when the machine itself stood still, to the lab's own web server; writer.py creates ConfigMaps; service-probe.sh sends
# requests to a Service from a node; leader.py records which etcd member leads. Their results are NAME.log and NAME.out in $WORK, where NAME is api,
# control, writer, service or leader. count.py judges all of them.
# shellcheck shell=bash

# The URL of a small file on the lab's web server, which runs on this machine and is not part of the cluster. The control probe of probe.py requests
# it.
CONTROL=http://$SUBNET.2/release/stable-${NEXT#v}
CONTROL=${CONTROL%.*}.txt

# write_begin: starts writer.py, which creates ConfigMaps through the cluster's endpoint until the process $WRITER is terminated
write_begin() { python3 "$E2E/writer.py" "$KUBECONFIG" "$WORK/writer.log" >"$WORK/writer.out" & WRITER=$!; }

# etcd_client: copies etcd's CA certificate and a client certificate with its key from m1 into a folder, and prints the path of the folder
etcd_client() {
    local name folder=$WORK/etcd-client
    mkdir -p -m 0700 "$folder"
    for name in ca.crt healthcheck-client.crt healthcheck-client.key; do
        on m1 cat "/etc/kubernetes/pki/etcd/$name" | install -m 0600 /dev/stdin "$folder/${name#healthcheck-}"
    done
    echo "$folder"
}
# member_urls: prints the client URLs of the etcd members on the control-plane hosts
member_urls() { lab list | awk '/^m[0-9]/ { print "https://" $2 ":2379" }'; }
# leader_begin: starts leader.py, which records which of the etcd members on the control-plane hosts leads
leader_begin() {
    local urls; mapfile -t urls < <(member_urls)
    python3 "$E2E/leader.py" "$(etcd_client)" "$WORK" "${urls[@]}" & LEADER=$!
}
# rate: prints how many requests per second probe.py is to send on this machine, which also runs all lab hosts: 100, or 50 if one request in a hundred
# takes more than 150 ms although the cluster is at rest
rate() {
    local p99
    mkdir -p "$WORK/rest"
    rm -f "$WORK"/rest/*
    timeout -s TERM 6 python3 "$E2E/probe.py" "$KUBECONFIG" "$CONTROL" "$WORK/rest" 100
    p99=$(sed -n 's/.* p99-ms \([0-9]*\).*/\1/p' "$WORK/rest/api.out")
    if [ "${p99:-999}" -gt 150 ]; then echo 50; else echo 100; fi
    say "at rest, of 100 requests a second one in a hundred takes ${p99:-?} ms or more" >&2
}
# probes_begin [URL]: starts the probes of the API and, if a URL is given, the probe of the Service at this URL. They run until probes_end.
probes_begin() {
    local rate
    rate=$(rate)
    # Files of an earlier run are removed: if a probe died, they would be taken for its results.
    rm -f "$WORK"/{api,control,writer,service,leader}.{log,out} "$WORK/views.log"
    write_begin
    leader_begin
    python3 "$E2E/probe.py" "$KUBECONFIG" "$CONTROL" "$WORK" "$rate" & PROBE=$!
    SERVICE=
    [ -n "${1:-}" ] || return 0
    on m1 sh -c 'cat >/run/service-probe.sh' <"$E2E/service-probe.sh"
    on m1 bash /run/service-probe.sh "$1" >"$WORK/service.out" 2>"$WORK/service.log" & SERVICE=$!
}
probes_end() {
    kill "$PROBE" "$WRITER" "$LEADER"
    # Only the oldest process, which is the probe itself, is terminated: a child in which the probe starts curl has the same command line for a
    # moment.
    [ -z "$SERVICE" ] || on m1 pkill -TERM -o -f service-probe.sh
    wait "$PROBE" "$WRITER" "$LEADER" ${SERVICE:+"$SERVICE"}
    say "API probe: $(tail -n 1 "$WORK/api.out")"
    say "control probe: $(tail -n 1 "$WORK/control.out")"
    say "writer: $(tail -n 1 "$WORK/writer.out")"
    [ -z "$SERVICE" ] || say "Service probe: $(tail -n 1 "$WORK/service.out")"
}
# unnoticed WHAT [LEADER_MOVES]: checks that no request of the probes failed and no acknowledged write is missing. If LEADER_MOVES is given, every
# etcd member was replaced meanwhile, so the leadership of etcd must have moved, and at most LEADER_MOVES requests may have failed because of that;
# see count.py.
unnoticed() {
    local out
    if out=$(python3 "$E2E/count.py" --leader-moves "${2:-0}" --probes "api,writer${SERVICE:+,service}" "$WORK" 2>&1); then
        pass "$1: no failed request"
        # The output of count.py is printed on success as well, because it lists the requests that were set aside and not counted.
        sed 's/^/    | /' <<<"$out"
    else
        fail "$1: no failed request"
        said "$out"
    fi
    [ "${2:-0}" = 0 ] || check "$1: etcd's leadership was seen to move" grep -q ' moves [1-9]' "$WORK/leader.out"
    check "$1: no acknowledged write is missing" output_has ' missing 0 ' cat "$WORK/writer.out"
}
