#!/bin/bash
# service-probe.sh URL: asks a Service from a node, some twenty times a second, each time over a new connection and without retries, until
# it is told to stop. Runs on the node. Says a line per failed request on standard error, see failures.py, and at last on standard output
# `requests N answered N failed N`.
export LC_ALL=C     # points in numbers
url=$1 all=0 failed=0 stop=
trap 'stop=1' TERM INT
# kind CURL-STATUS HTTP-STATUS: what curl's exit status means in the words of failures.py
kind() {
    case $1 in
        28) echo timeout ;;
        7) echo refused ;;
        55 | 56) echo reset ;;
        18 | 52) echo torn ;;
        22) echo "status-$2" ;;
        *) echo other ;;
    esac
}
while [ -z "$stop" ]; do
    all=$((all + 1)) begun=$EPOCHREALTIME
    said=$(curl -sSf -m 3 -o /dev/null -w '%{http_code}' "$url" 2>&1)
    status=$?
    if [ $status != 0 ]; then
        failed=$((failed + 1)) ended=$EPOCHREALTIME
        printf '%s %s %s %(%T)T request %s: %s\n' "$begun" "$ended" "$(kind $status "${said##*$'\n'}")" "${begun%.*}" $all "${said//$'\n'/ }" >&2
    fi
    sleep 0.03
done
echo "requests $all answered $((all - failed)) failed $failed"
