#!/bin/bash
# service-probe.sh URL: sends about twenty requests a second to a Service from a node, each over a new connection and without retries, until
# SIGTERM. Runs on the node. Prints a line per failed request on standard error, see failures.py, and at the end `requests N answered N failed N` on
# standard output.
export LC_ALL=C     # $EPOCHREALTIME has a decimal point, not a comma
url=$1 all=0 failed=0 stop=
trap 'stop=1' TERM INT
# kind CURL-STATUS HTTP-STATUS: prints the kind of failure, as failures.py names it, for an exit status of curl and the status of the answer
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
