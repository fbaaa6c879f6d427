#!/bin/bash
# sudo asks for a password on some hosts, and the inventory has none: clusterctl reports all of them together, tries once on each, and locks no
# account.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
fault 7 "sudo wants a password on two hosts"
rules() { on "$1" grep -rlE 'NOPASSWD' /etc/sudoers /etc/sudoers.d; }
for h in w1 m2; do
    for f in $(rules "$h"); do on "$h" sh -c "cp -a $f /run/$(basename "$f").kept && sed -i 's/NOPASSWD: *//' $f"; done
done
change
tried apply; status=$?
check "exit 1 or 5 (exit $status)" test $status = 1 -o $status = 5
check "I9: the message names w1, the cause and what to do" explains w1 'sudo wants a password'
check "I9: the same report names m2" explains m2 'sudo wants a password'
check "one attempt on w1, and no wrong password" on w1 sh -c '! journalctl --no-pager -n 200 | grep -E "incorrect password|authentication failure"'
for h in w1 m2; do
    on "$h" sh -c 'for f in /run/*.kept; do
        n=$(basename "$f" .kept)
        if [ "$n" = sudoers ]; then d=/etc/sudoers; else d=/etc/sudoers.d/$n; fi
        cat "$f" >"$d"; rm "$f"
    done'
done
recovers
changed_everywhere
holds
finish
