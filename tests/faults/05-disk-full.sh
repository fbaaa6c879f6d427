#!/bin/bash
# The disk of a master is full in the middle of a change: where manifests are written, and where the copies for the rollback are kept.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
# full HOST FOLDER: puts the files of the folder on a file system of their own that has no free space; freed HOST FOLDER: undoes this
full() {
    on "$1" sh -c 'mkdir -p /run/full && mount -t tmpfs -o size=256k tmpfs /run/full && cp -a "$1/." /run/full/ && chmod --reference="$1" /run/full &&
        mount --move /run/full "$1" 2>/dev/null || { mount --bind /run/full "$1" && umount /run/full; }
        cat /dev/zero >"$1/.filler" 2>/dev/null; [ "$(df --output=avail "$1" | tail -n 1)" -eq 0 ]' - "$2"
}
freed() { on "$1" sh -c 'umount "$1" && rmdir /run/full' - "$2"; }
digest() { on m1 sha256sum /etc/kubernetes/manifests/kube-apiserver.yaml; }

# with_full FOLDER CAUSE: checks that, while FOLDER on m1 is full, an apply changes nothing and prints a message that matches CAUSE; then frees space
# and checks that the apply succeeds
with_full() {
    local was
    was=$(digest)
    change
    check "$1 on m1 is full" full m1 "$1"
    tried apply; status=$?
    check "$1: exit 1 (exit $status)" test $status = 1
    check "I9: $1: the message names m1, the step, the cause and what to do" explains m1 "$2"
    check "$1: the manifest on m1 is unchanged" test "$was" = "$(digest)"
    check "$1: the API server of m1 serves" wait_until 30 all_serve
    check "$1: m2 and m3 were not touched" unchanged m2 m3
    note_files
    check "$1 has free space again" freed m1 "$1"
    check "$1: the manifest on the disk is unchanged" test "$was" = "$(digest)"
    recovers
    changed_everywhere
}

fault 5 "the disk is full where a manifest is written"
with_full /etc/kubernetes/manifests 'no space'
holds
fault 5 "the disk is full where the copies for the rollback are kept"
with_full /var/lib/clusterctl/static-pods 'no space'
holds

fault 5 "the disk is full where a program is placed"
on w2 sh -c 'echo x >>/usr/local/bin/kubectl'
check "/usr/local/bin on w2 is full" on w2 sh -c 'mkdir -p /run/full && mount -t tmpfs -o size=1m tmpfs /run/full &&
    mount --bind /run/full /usr/local/bin && umount /run/full && rmdir /run/full'
tried apply; status=$?
check "exit 1 (exit $status)" test $status = 1
check "I9: the message names w2, the program that cannot be written and what to do" explains w2 'Fail(ed|ure) writing|[Nn]o space'
check "I9: the message names the full disk" output_has '[Nn]o space'
check "I7: no file is at a final path there" on w2 sh -c '! ls /usr/local/bin/kube* 2>/dev/null | grep -v part'
check "/usr/local/bin has free space again" on w2 umount /usr/local/bin
recovers
holds
finish
