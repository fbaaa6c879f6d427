#!/bin/bash
# After init there is nothing to do, and nothing is written. The time of an apply is printed and not judged, because benchmarks measure it.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
needs_cluster
marker=/etc/clusterctl-audit-marker
for h in "${HOSTS[@]}"; do on "$h" touch $marker; done
sleep 1.1 # file times have whole seconds on some file systems; the marker must be older than any write
best=999999
for _ in 1 2 3 4 5; do
    start=$(millis)
    out=$(ctl apply 2>&1); status=$?
    took=$(($(millis) - start))
    [ $took -lt $best ] && best=$took
    [ $status = 0 ] && grep -q 'nothing to do' <<<"$out" || fail "apply has nothing to do: exit $status: $out"
done
say "apply with nothing to do, six hosts: best of five $best ms"
for h in "${HOSTS[@]}"; do
    # Folders in which the kubelet, containerd, etcd and journald write by themselves are not searched.
    written=$(on "$h" find /etc /usr /opt /root /home /var/lib/clusterctl /boot /srv -xdev -newercm $marker ! -path $marker 2>/dev/null)
    check "nothing is written on $h" test -z "$written"
    [ -z "$written" ] || echo "$written"
done
expect "plan has no changes" 0 ctl plan
expect "another init changes nothing" 0 ctl init
for h in "${HOSTS[@]}"; do on "$h" rm -f $marker; done
finish
