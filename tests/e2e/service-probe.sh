#!/bin/sh
# service-probe.sh URL: asks a Service from a node, some twenty times a second, each time over a new connection and without retries, until
# it is told to stop. Runs on the node. Ends with `service requests N failed N`.
url=$1 all=0 failed=0 stop=
trap 'stop=1' TERM INT
while [ -z "$stop" ]; do
    all=$((all + 1))
    curl -sf -m 3 -o /dev/null "$url" || { failed=$((failed + 1)); echo "$(date +%T) request $all failed"; }
    sleep 0.03
done
echo "service requests $all failed $failed"
