#!/bin/bash
# Manifests are truncated, are no YAML, or lie there twice: drift shows them, `apply` restores them, and files of others stay and are reported.
# Needs: the 3+2 cluster, which is founded on prepared hosts where it does not stand. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
fault 17 "a manifest is truncated, one is no YAML, and a backup lies beside them"
folder=/etc/kubernetes/manifests
on m1 truncate -s 100 $folder/kube-scheduler.yaml
on m2 sh -c "printf '{ this: is [no yaml\n' >$folder/kube-controller-manager.yaml"
on m3 truncate -s 0 $folder/kube-apiserver.yaml
# The kubelet takes every file in the folder that has no dot before its name for a manifest.
printf 'nobody can run this: an old copy\n' | on m3 sh -c "cat >$folder/etcd.yaml.bak"
expect "plan shows what differs" 6 tried plan
check "the truncated one on m1" says 'm1: run static pod kube-scheduler'
check "the one on m2 that is no YAML" says 'm2: run static pod kube-controller-manager'
check "the empty one on m3" says 'm3: run static pod kube-apiserver'
check "I9: the file of somebody else in the folder of manifests is reported" says 'etcd.yaml.bak' ctl plan
recovers
check "the file of somebody else is still there" on m3 test -s $folder/etcd.yaml.bak
on m3 rm $folder/etcd.yaml.bak
holds
finish
