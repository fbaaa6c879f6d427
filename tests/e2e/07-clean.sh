#!/bin/bash
# A lab leaves the machine unchanged: mounts, containers, networks, firewall rules and processes are the same as before, after its hosts are down,
# after a build that was killed at any moment, and after two builds at the same time in one directory.
# Needs: a lab that is built. Leaves: no hosts.
. "$(dirname "$0")/lib.sh"
other=$WORK/clean-lab
# in_other COMMAND...: replaces the current subshell by the command, for a second lab with the directory $other and its own network
in_other() { exec env CLUSTERCTL_LAB_DIR=$other CLUSTERCTL_LAB_NET=clusterctl-clean CLUSTERCTL_LAB_SUBNET=172.29.0 "$@"; }
# machine: prints the mounts, containers, networks, network links and firewall rules of this machine, to compare them before and after a lab. The
# packet counters of firewall rules are left out, because they change all the time.
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
check "one host starts" lab up --masters 1 --workers 0 --lbs 0
check "the host is removed" lab down
check "the machine is unchanged" same

# Only the lab command itself is killed, as by an operator's kill -9 or by the kernel. The processes that it started must exit by themselves.
for what in builds compiles; do
    in_other lab build >"$WORK/build.log" 2>&1 & build=$!
    check "a build that $what" wait_until 300 $what
    kill -KILL $build; wait $build 2>/dev/null
    check "after it is killed, none of its processes runs" wait_until 20 nothing_runs
    check "the machine is unchanged" same
done

# Of two builds at the same time, one does the work and the other waits for it.
in_other lab up --masters 1 --workers 0 --lbs 0 >"$WORK/build.log" 2>&1 & first=$!
in_other lab build >"$WORK/build-2.log" 2>&1 & second=$!
wait $first; check "of two builds at the same time, the first one succeeds" test $? = 0
wait $second; check "the second build succeeds" test $? = 0
check "each part was built once" test "$(cat "$WORK"/build.log "$WORK"/build-2.log | grep -c 'built Kubernetes')" = 2
(in_other lab down --all)
check "the machine is unchanged" same
rm -rf "$other"
finish
