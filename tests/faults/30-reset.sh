#!/bin/bash
# A reset of one master of a running cluster is refused, also while no API server answers, and the master is not changed.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
none_serves() { local m; for m in "${MASTERS[@]}"; do ! on "$m" pgrep -x kube-apiserver >/dev/null || return 1; done; }
member_data() { on m2 sh -c 'ls /var/lib/etcd/member/wal | wc -l; ls -d /var/lib/etcd/member/snap/db'; }

fault 30 "reset of a master, with and without an API"
was=$(member_data)
expect "reset of a master is refused" 4 tried reset --limit m2 --yes
check "I9: the refusal names m2, its member and what to do" refuses m2 etcd-member
check "the refusal has the number of members and the quorum" output_has 'one of 3 etcd members (quorum 2)'
for m in "${MASTERS[@]}"; do on "$m" mv /etc/kubernetes/manifests/kube-apiserver.yaml /run/; done
check "no API server runs" wait_until 120 none_serves
expect "the reset is refused without an API as well" 4 tried reset --limit m2 --yes
check "I9: without an API, the refusal names m2, its member and what to do" refuses m2 etcd-member
check "the member's data is unchanged" test "$was" = "$(member_data)"
check "the member of m2 is healthy" etcdctl_on m2 endpoint health
# The manifests in /run are not put back: clusterctl makes them again from the inventory and from what the hosts report.
for m in "${MASTERS[@]}"; do on "$m" rm /run/kube-apiserver.yaml; done
recovers
holds
finish
