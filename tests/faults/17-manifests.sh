#!/bin/bash
# Manifests are truncated, are not YAML, or exist twice: the plan shows the drift, `apply` restores them, and files of others stay and are reported.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
fault 17 "a manifest is truncated, one is not YAML, and a backup is beside them"
folder=/etc/kubernetes/manifests
on m1 truncate -s 100 $folder/kube-scheduler.yaml
on m2 sh -c "printf '{ this: is [no yaml\n' >$folder/kube-controller-manager.yaml"
on m3 truncate -s 0 $folder/kube-apiserver.yaml
# The kubelet reads every file in the folder whose name does not begin with a dot as a static pod manifest, so it also reads this backup.
printf 'nobody can run this: an old copy\n' | on m3 sh -c "cat >$folder/etcd.yaml.bak"
expect "plan shows the differences" 6 tried plan
check "plan shows the truncated manifest on m1" output_has 'm1: run static pod kube-scheduler'
check "plan shows the manifest on m2 that is not YAML" output_has 'm2: run static pod kube-controller-manager'
check "plan shows the empty manifest on m3" output_has 'm3: run static pod kube-apiserver'
check "I9: the file of somebody else in the folder of manifests is reported" output_has 'etcd.yaml.bak' ctl plan
recovers
check "the file of somebody else is still there" on m3 test -s $folder/etcd.yaml.bak
on m3 rm $folder/etcd.yaml.bak
holds
finish
