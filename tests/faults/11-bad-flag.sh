#!/bin/bash
# A flag with which the API server does not start and an image that no registry has are found before a second master is changed.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
fault 11 "a flag with which the new API server does not start"
cp "$CLUSTERCTL_INVENTORY" "$NOTES/inventory"
change
sed -i 's/max-requests-inflight: "[0-9]*"/&, etcd-count-metric-poll-period: "no duration"/' "$CLUSTERCTL_INVENTORY"
tried apply; status=$?
check "exit 1 or 4 (exit $status)" test $status = 1 -o $status = 4
check "I9: the message names a master, the step, the flag and what to do" explains 'm[123]' 'etcd-count-metric-poll-period'
check "no manifest was changed" unchanged m1 m2 m3
# The flags are valid, but the file is no audit policy, so the API server exits soon after it starts. clusterctl detects that only when it has
# replaced the manifest, and rolls back.
audit='audit-policy-file: "/etc/kubernetes/pki/ca.crt", audit-log-path: "-"'
sed -i "s|etcd-count-metric-poll-period: \"no duration\"|$audit|" "$CLUSTERCTL_INVENTORY"
start=$SECONDS
tried apply; status=$?
say "found after $((SECONDS - start)) s"
check "exit 1 or 4 (exit $status)" test $status = 1 -o $status = 4
check "I9: the message names m1, the step, the last log lines of the API server and what to do" explains 'm[123]' 'audit'
check "m2 and m3 were not touched" unchanged m2 m3
check "every API server serves" wait_until 60 all_serve
note_files
cat "$NOTES/inventory" >"$CLUSTERCTL_INVENTORY"
change
recovers
holds

fault 13 "an image that the registry does not have"
cp "$CLUSTERCTL_INVENTORY" "$NOTES/inventory"
set_etcd_tag 3.4.98-0
expect "apply is refused" 4 tried apply
check "I9: the refusal names every master, the image and what to do" refuses 'm1, m2, m3' image
check "the image is named" output_has 'etcd:3.4.98-0'
check "nothing was changed" on m1 sh -c '! grep -q 3.4.98 /etc/kubernetes/manifests/etcd.yaml'
cat "$NOTES/inventory" >"$CLUSTERCTL_INVENTORY"
recovers
holds
finish
