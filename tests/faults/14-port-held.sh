#!/bin/bash
# Another process holds a port that a component needs: the run is refused before it changes anything, and names the process.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
# hold HOST PORT: starts a socat that listens on this port; prints its process ID
hold() { on "$1" sh -c 'socat TCP-LISTEN:'"$2"',fork,reuseaddr /dev/null >/dev/null 2>&1 & echo $!'; }
listens() { on "$1" sh -c "ss -Hltn 'sport = :$2' | grep -q ."; }
gone() { ! listens "$@"; }

fault 14 "a port is held by another process"
on m2 rm /etc/kubernetes/manifests/kube-scheduler.yaml
on w2 systemctl stop kubelet
check "the port of the scheduler on m2 is free" wait_until 60 gone m2 10259
check "the port of the kubelet on w2 is free" wait_until 60 gone w2 10250
scheduler=$(hold m2 10259) kubelet=$(hold w2 10250)
check "another process listens on m2" wait_until 10 listens m2 10259
check "another process listens on w2" wait_until 10 listens w2 10250
change
expect "apply is refused" 4 tried apply
check "I9: the refusal names m2, the port and what to do" refuses m2 port
check "I9: the refusal names the port of the scheduler on m2" output_has 'port 10259, which the scheduler needs, is held by socat'
check "I9: the same report names the port of the kubelet on w2" output_has 'w2: port 10250, which the kubelet needs, is held by socat'
check "I9: the refusal names the process ID" output_has "pid[= ]$scheduler"
check "nothing was changed" unchanged m1 m2 m3
on m2 kill "$scheduler"
on w2 kill "$kubelet"
check "the ports are free again" wait_until 10 gone m2 10259
recovers
holds
finish
