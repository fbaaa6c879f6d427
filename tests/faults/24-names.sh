#!/bin/bash
# Names that no node can have are refused before any host is touched, and two hosts with one identity are reported as a pair.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
fault 24 "names with capitals, underscores, 64 characters, and like an address"
# named NAME: writes $NOTES/inventory.yaml, which is the inventory with NAME in place of w2
named() { sed "s/^  - name: w2\$/  - name: $1/" "$CLUSTERCTL_INVENTORY" >"$NOTES/inventory.yaml"; }
for name in W2 w_2 "$(printf 'w%.0s' $(seq 64))"; do
    named "$name"
    expect "$(cut -c1-12 <<<"$name") is refused" 3 tried apply -i "$NOTES/inventory.yaml"
    check "I9: the message names the line of the inventory" grep -qE '^error: .*inventory.yaml:[0-9]+:[0-9]+: ' "$WORK/tried.log"
    check "I9: the message has a hint" grep -q '^hint: ' "$WORK/tried.log"
    check "no host was touched" output_has 'no host was touched'
done
# refused NAME STATUS: succeeds if plan with this name in place of w2 exits with STATUS. apply is not used: if it were not refused, it would remove
# the node and join it again under the other name.
refused() { named "$1"; ctl plan -i "$NOTES/inventory.yaml" >"$WORK/tried.log" 2>&1; [ $? = "$2" ]; }
for name in "$SUBNET.22" w9; do
    check "another name for a host of the cluster is refused: $name" refused "$name" 4
    check "I9: $name: the refusal names the node of that host" refuses "$name" node-name
done
recovers
holds

fault 23 "two hosts with one machine-id, and two with one hostname"
id=$(on w2 cat /etc/machine-id)
on w1 cat /etc/machine-id | on w2 sh -c 'cat >/etc/machine-id'
on m3 hostname m2
change
expect "apply is refused" 4 tried apply
check "I9: the refusal names w2 and what to do" refuses w2 machine-id
check "the refusal names w1, which has the same machine-id" output_has 'same machine-id as w1'
check "I9: the refusal names m3 and what to do" refuses m3 hostname
check "nothing was changed" unchanged m1 m2 m3
echo "$id" | on w2 sh -c 'cat >/etc/machine-id'
on m3 hostname m3
recovers
holds
finish
