#!/bin/bash
# A port that a component needs is held by a process of somebody else: the run is refused before it changes anything, and names the process.
# Needs: the 3+2 cluster, which is founded on prepared hosts where it does not stand. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
# hold HOST PORT: a process of somebody else listens there; prints its process id
hold() { on "$1" sh -c 'socat TCP-LISTEN:'"$2"',fork,reuseaddr /dev/null >/dev/null 2>&1 & echo $!'; }
listens() { on "$1" sh -c "ss -Hltn 'sport = :$2' | grep -q ."; }
gone() { ! listens "$@"; }

fault 14 "a port is held by another process"
on m2 rm /etc/kubernetes/manifests/kube-scheduler.yaml
on w2 systemctl stop kubelet
check "the port of the scheduler of m2 is free" until_true 60 gone m2 10259
check "the port of the kubelet of w2 is free" until_true 60 gone w2 10250
scheduler=$(hold m2 10259) kubelet=$(hold w2 10250)
check "somebody listens on m2" until_true 10 listens m2 10259
check "somebody listens on w2" until_true 10 listens w2 10250
change
expect "it is refused" 4 tried apply
check "I9: m2, the port, the component and the process" refuses m2 port
check "I9: of the scheduler" says 'port 10259, which the scheduler needs, is held by socat'
check "I9: and w2 in the same report" says 'w2: port 10250, which the kubelet needs, is held by socat'
check "I9: with the process id" says "pid[= ]$scheduler"
check "nothing was changed" unchanged m1 m2 m3
on m2 kill "$scheduler"
on w2 kill "$kubelet"
check "the ports are free again" until_true 10 gone m2 10259
recovers
holds
finish
