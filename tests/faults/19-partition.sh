#!/bin/bash
# One master is cut off the network, and the etcd member of one dies, while another master is changed: the run stops before the next master.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
# stopped: checks that the run has changed m1 and nothing else, names the reason, and has cordoned no node
stopped() {
    ends "the run stops before the next host" 1
    check "I9: the message names m2 and the quorum" explains m2 'of 3 etcd members 1 would be left healthy without this one, and 2 are needed'
    check "m1 has the change" changed m1
    check "m2 was not touched" unchanged m2
    check "clusterctl has cordoned no node" others_kept
    note_files
}

fault 19 "a master is partitioned while another one is changed"
change
begin apply
reaches 'm1: run static pod kube-apiserver .* \.\.\. '
lab cut m3
stopped
lab heal m3
check "m3 is back" wait_until 60 all_vote
check "m3 was not touched" unchanged m3
recovers
changed_everywhere
holds

fault 9 "an etcd member dies between two masters of a rolling change"
change
begin apply
reaches 'm1: run static pod kube-apiserver .* \.\.\. '
on m3 mv /etc/kubernetes/manifests/etcd.yaml /run/etcd.yaml
stopped
check "m3 was not touched" unchanged m3
on m3 mv /run/etcd.yaml /etc/kubernetes/manifests/etcd.yaml
check "the member is back" wait_until 120 all_vote
recovers
changed_everywhere
holds
finish
