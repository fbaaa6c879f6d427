#!/bin/bash
# The host key of one host has changed, and that of another one is unknown: nothing is sent to these hosts, and the fingerprints are reported.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
fault 21 "the host key of one host has changed, and that of one is unknown"
cp "$KNOWN_HOSTS" "$NOTES/known_hosts"
key_of() { on "$1" ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2; }
was=$(key_of w2)
on w2 sh -c 'mkdir /run/keys && mv /etc/ssh/ssh_host_* /run/keys/ && ssh-keygen -A >/dev/null && systemctl restart ssh'
now=$(key_of w2)
sed -i "/^$(ip_of w1) /d" "$KNOWN_HOSTS"
change
tried apply; status=$?
check "exit 1, and the other hosts are changed (exit $status)" test $status = 1
changed_everywhere
check "I9: the message names w2 and what to do" explains w2 'has CHANGED'
check "I9: the message has the fingerprint that was known" output_has "known_hosts has .*$was"
check "I9: the message has the fingerprint that the host shows" output_has "the host shows .*$now"
check "I9: the message names w1 and what to do" explains w1 'host key of .* is unknown'
check "nobody has tried to log in on w2 since its key changed" on w2 sh -c \
    '! journalctl -u ssh --no-pager -o cat | tac | sed "/Server listening/q" | grep -E "Accepted|Failed"'
on w2 sh -c 'mv /run/keys/ssh_host_* /etc/ssh/ && rmdir /run/keys && systemctl restart ssh'
cat "$NOTES/known_hosts" >"$KNOWN_HOSTS"
recovers
holds
finish
