# probes.sh: what is asked of a cluster all the while it is changed, and whether any of it failed. Sourced by lib.sh.
# probe.py asks the API and, to know when the machine itself stood still, the lab's own web server; writer.py writes; service-probe.sh asks a
# Service from a node; leader.py asks etcd who leads it. Each leaves NAME.log and NAME.out in $WORK, and count.py judges them all.
# shellcheck shell=bash

# A small file on the lab's web server, which is on this machine and no part of the cluster.
CONTROL=http://$SUBNET.2/release/stable-${NEXT#v}
CONTROL=${CONTROL%.*}.txt

# a writer through the endpoint, until it is ended; see writer.py
write_begin() { python3 "$E2E/writer.py" "$KUBECONFIG" "$WORK/writer.log" >"$WORK/writer.out" & WRITER=$!; }

# etcd_client: a folder with what a client of etcd needs
etcd_client() {
    local name folder=$WORK/etcd-client
    mkdir -p -m 0700 "$folder"
    for name in ca.crt healthcheck-client.crt healthcheck-client.key; do
        on m1 cat "/etc/kubernetes/pki/etcd/$name" | install -m 0600 /dev/stdin "$folder/${name#healthcheck-}"
    done
    echo "$folder"
}
# member_urls: of the members on the masters
member_urls() { lab list | awk '/^m[0-9]/ { print "https://" $2 ":2379" }'; }
# leader_begin: which of the members on the masters leads
leader_begin() {
    local urls; mapfile -t urls < <(member_urls)
    python3 "$E2E/leader.py" "$(etcd_client)" "$WORK" "${urls[@]}" & LEADER=$!
}
# rate: requests a second that this machine bears besides running all hosts: 100, or half where even at rest one in a hundred waits long
rate() {
    local p99
    mkdir -p "$WORK/rest"
    rm -f "$WORK"/rest/*
    timeout -s TERM 6 python3 "$E2E/probe.py" "$KUBECONFIG" "$CONTROL" "$WORK/rest" 100
    p99=$(sed -n 's/.* p99-ms \([0-9]*\).*/\1/p' "$WORK/rest/api.out")
    if [ "${p99:-999}" -gt 150 ]; then echo 50; else echo 100; fi
    say "at rest, of 100 requests a second one in a hundred takes ${p99:-?} ms or more" >&2
}
# probes_begin [URL]: probes through the endpoint and of the Service at this URL, until they are ended
probes_begin() {
    local rate
    rate=$(rate)
    # What an earlier run left must not be taken for what a probe that died would have said.
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
    # The oldest one alone: a request that it has just begun is a process of the same name for a moment.
    [ -z "$SERVICE" ] || on m1 pkill -TERM -o -f service-probe.sh
    wait "$PROBE" "$WRITER" "$LEADER" ${SERVICE:+"$SERVICE"}
    say "API probe: $(tail -n 1 "$WORK/api.out")"
    say "control probe: $(tail -n 1 "$WORK/control.out")"
    say "writer: $(tail -n 1 "$WORK/writer.out")"
    [ -z "$SERVICE" ] || say "Service probe: $(tail -n 1 "$WORK/service.out")"
}
# unnoticed WHAT [LEADER_MOVES]: nothing that the probes asked for failed, nothing that was written is missing. Where LEADER_MOVES is given,
# every member was replaced, so etcd's leadership must have moved, and so many requests may be lost to it; see count.py.
unnoticed() {
    local out
    if out=$(python3 "$E2E/count.py" --leader-moves "${2:-0}" --probes "api,writer${SERVICE:+,service}" "$WORK" 2>&1); then
        pass "$1: no failed request"
        # What was set aside is told as well.
        sed 's/^/    | /' <<<"$out"
    else
        fail "$1: no failed request"
        said "$out"
    fi
    [ "${2:-0}" = 0 ] || check "$1: etcd's leadership was seen to move" grep -q ' moves [1-9]' "$WORK/leader.out"
    check "$1: no acknowledged write is missing" says ' missing 0 ' cat "$WORK/writer.out"
}
