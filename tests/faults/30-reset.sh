#!/bin/bash
# A reset of one master under a living cluster is refused, also while no API server answers, and nothing of the master is touched.
# Needs: the 3+2 cluster, which is founded on prepared hosts where it does not stand. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
none_serves() { local m; for m in "${MASTERS[@]}"; do ! on "$m" pgrep -x kube-apiserver >/dev/null || return 1; done; }
member_data() { on m2 sh -c 'ls /var/lib/etcd/member/wal | wc -l; ls -d /var/lib/etcd/member/snap/db'; }

fault 30 "reset of a master, with and without an API"
was=$(member_data)
expect "reset of a master is refused" 4 tried reset --limit m2 --yes
check "I9: m2, its member, what to do" refuses m2 etcd-member
check "it says how many members there are and the quorum" says 'one of 3 etcd members (quorum 2)'
for m in "${MASTERS[@]}"; do on "$m" mv /etc/kubernetes/manifests/kube-apiserver.yaml /run/; done
check "no API server is left" until_true 120 none_serves
expect "it is refused without an API as well" 4 tried reset --limit m2 --yes
check "I9: m2, its member, what to do, without an API" refuses m2 etcd-member
check "the member's data is there" test "$was" = "$(member_data)"
check "its member votes" etcdctl_on m2 endpoint health
# The files that were set aside are not needed: what the hosts know is enough.
for m in "${MASTERS[@]}"; do on "$m" rm /run/kube-apiserver.yaml; done
recovers
holds
finish
