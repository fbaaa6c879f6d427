#!/bin/bash
# Failures in an upgrade are rolled back: a flag that the new program does not know, an image that does not exist, an API server that serves and
# then dies, an etcd that does not start.
# Needs: the 3+2 cluster at the next release, as 80-upgrade.sh leaves it. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
check "releases that are broken on purpose are built" lab build --broken
good=$(cat "$CLUSTERCTL_INVENTORY")
again() { printf '%s\n' "$good" >"$CLUSTERCTL_INVENTORY"; }
# running HOST: prints the start times and command lines of the control-plane processes
running() { on "$1" sh -c 'for c in etcd kube-apiserver kube-controller kube-scheduler; do pid=$(pgrep -xo $c) && stat -c %Y /proc/$pid && tr "\0" " " </proc/$pid/cmdline; done'; }
snapshot() { for m in m1 m2 m3; do running $m >"$WORK/running-$m"; done; }
untouched() { running "$1" | cmp -s - "$WORK/running-$1"; }
are_untouched() { local m; for m; do check "$m is untouched" untouched "$m"; done; }
# serves WHAT: checks that the cluster still has every write that an API server acknowledged to writer.py
serves() { check "$1: no acknowledged write is missing" grep -q ' missing 0 ' "$WORK/writer.out"; }
# rolled_back TITLE ARGUMENT...: runs clusterctl with these arguments, checks that it exits with 1, and prints the time until it exited. The checks
# after it show that the change was rolled back.
rolled_back() {
    local start title=$1; shift
    start=$(millis)
    expect "$title" 1 tried "$@"
    say "found and rolled back in $(($(millis) - start)) ms"
}
# others: prints the control-plane hosts except the one that the last `tried` was to change first. These others must not be changed after the change
# of the first one has failed. Which host is the first depends on which etcd member leads.
others() { local first; first=$(sed -n 's/^ *\(m[123]\): run static pods\{0,1\} .*/\1/p' "$WORK/tried.log" | head -n 1); echo "${MASTERS[@]/$first}"; }
snapshot
write_begin

# The API server does not know this flag. clusterctl must report that before it changes a host.
sed -i "s/^etcd:/controlPlane:\n  apiServer:\n    extraArgs: { no-such-flag: \"1\" }\netcd:/" "$CLUSTERCTL_INVENTORY"
expect "a flag that the program does not know makes the run fail" 1 tried apply
check "the message of the program is shown" output_has 'unknown flag: --no-such-flag'
are_untouched m1 m2 m3
again

# The registry has no image of the API server of the release $ABSENT.
expect "a release without an image is refused" 4 tried upgrade --version $ABSENT
check "the image is named" output_has "kube-apiserver:$ABSENT cannot be got"
are_untouched m1 m2 m3

# The API server rejects this value of the flag only when it starts, so the change must be rolled back.
sed -i "s/^etcd:/controlPlane:\n  apiServer:\n    extraArgs: { apiserver-count: \"0\" }\netcd:/" "$CLUSTERCTL_INVENTORY"
rolled_back "an API server that ends at once is rolled back" apply
check "the message has the last lines of its log" output_has 'apiserver-count'
check "the previous manifest serves" output_has 'the previous manifest of kube-apiserver is back and serves'
are_untouched $(others)
again
expect "nothing is left to do" 0 ctl plan

# The API server of the release $DIES starts, answers requests, and exits about 20 s later.
snapshot
rolled_back "an API server that dies after 20 s is rolled back" upgrade --version $DIES
check "the message has the last lines of its log" output_has 'broken on purpose'
check "its scheduler and controller manager are rolled back with it" output_has 'the previous manifest of kube-controller-manager is back with it'
are_untouched $(others)
check "the inventory still has $NEXT" grep -q "version: $NEXT" "$CLUSTERCTL_INVENTORY"
expect "nothing is left to do" 0 wait_until 60 ctl plan

# The etcd in the image with the tag $ETCD_BROKEN exits as soon as it starts.
snapshot
set_etcd_tag "$ETCD_BROKEN"
rolled_back "an etcd that does not start is rolled back" apply
check "the message has the last lines of its log" output_has 'broken on purpose'
are_untouched $(others)
again
check "three voting members" test "$(members m2)" = "m1 m2 m3"
expect "nothing is left to do" 0 wait_until 60 ctl apply

# The same etcd image is used in an upgrade, in which the API server of the same host must be rolled back as well.
snapshot
# Another flag makes the static pod manifest of etcd differ from the one that failed above: the kubelet waits longer and longer before it restarts the
# container of an unchanged manifest.
set_etcd_tag "$ETCD_BROKEN"
sed -i 's/^etcd:/&\n  extraArgs: { heartbeat-interval: "100" }/' "$CLUSTERCTL_INVENTORY"
rolled_back "an upgrade with an etcd that does not start is rolled back" upgrade --version $DIES
check "the message has the cause" output_has 'etcd did not serve'
check "its API server is rolled back with it" output_has 'the previous manifest of kube-apiserver is back and serves'
are_untouched $(others)
again
check "three voting members" test "$(members m2)" = "m1 m2 m3"
expect "nothing is left to do" 0 wait_until 60 ctl apply

kill "$WRITER"; wait "$WRITER"
say "writer: $(cat "$WORK/writer.out")"; tail -n 5 "$WORK/writer.log"
serves "through all of that"
check "five nodes are Ready" at_version $NEXT 5
rm -f "$WORK"/ha-etcd-*.db
finish
