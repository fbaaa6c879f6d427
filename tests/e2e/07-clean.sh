#!/bin/bash
# A lab leaves the machine as it was: after its hosts are down, after a build that was killed at any moment, and after two builds at once in
# one directory, the mounts, containers, networks, firewall rules and processes are those of before.
# Needs: a lab that is built. Leaves: no hosts.
. "$(dirname "$0")/lib.sh"
other=$WORK/clean-lab
# in_other COMMAND...: in place of this shell, the lab command with a directory and a network of its own
in_other() { exec env CLUSTERCTL_LAB_DIR=$other CLUSTERCTL_LAB_NET=clusterctl-clean CLUSTERCTL_LAB_SUBNET=172.29.0 "$@"; }
# machine: prints everything that a lab could leave behind. The packet counters of firewall rules are left out, because they change all the time.
machine() {
    awk '{print $4, $5, $6}' /proc/self/mountinfo | sort
    docker ps -aq | sort
    docker network ls -q | sort
    ip -o link | sed 's/^[0-9]*: //; s/ .*//' | sort
    iptables-save | sed 's/\[[0-9:]*\]//; /^#/d'
}
same() { machine >"$WORK/after"; diff "$WORK/before" "$WORK/after"; }
nothing_runs() { ! pgrep -f "$other" >"$WORK/running" || { xargs ps -o pid=,args= -p <"$WORK/running"; return 1; }; }
builds() { pgrep -f "mmdebstrap.*$other" >/dev/null; }
compiles() { pgrep -f "compile .*$other" >/dev/null; }

lab down >/dev/null 2>&1
rm -rf "$other"
machine >"$WORK/before"
check "one host" lab up --masters 1 --workers 0 --lbs 0
check "it is down" lab down
check "the machine is as before" same

# Only the command itself is killed, as an operator's kill -9 or the kernel would: what it started has to end by itself.
for what in builds compiles; do
    in_other lab build >"$WORK/build.log" 2>&1 & build=$!
    check "a build that $what" until_true 300 $what
    kill -KILL $build; wait $build 2>/dev/null
    check "once it is killed, nothing of it runs" until_true 20 nothing_runs
    check "and the machine is as before" same
done

# Two at once: one does the work, the other waits for it.
in_other lab up --masters 1 --workers 0 --lbs 0 >"$WORK/build.log" 2>&1 & first=$!
in_other lab build >"$WORK/build-2.log" 2>&1 & second=$!
wait $first; check "of two builds at once, the first one ends well" test $? = 0
wait $second; check "and the second one" test $? = 0
check "each part was built once" test "$(cat "$WORK"/build.log "$WORK"/build-2.log | grep -c 'built Kubernetes')" = 2
(in_other lab down --all)
check "the machine is as before" same
rm -rf "$other"
finish
