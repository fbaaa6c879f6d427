#!/bin/bash
# The lab itself: facts of the lab can be read, two labs stay apart, and all faults of a release or a machine that cannot be used are explained.
# Needs: a lab that is built. Leaves: no hosts.
. "$(dirname "$0")/lib.sh"
other=$WORK/other-lab
rm -rf "$other"
# in_other ARGUMENT...: runs the lab command with the directory $other, on the network of the first lab
in_other() { CLUSTERCTL_LAB_DIR=$other lab "$@"; }
# lab_lib COMMAND...: runs a function of tests/lab/lib.sh
lab_lib() { bash -c 'set -euo pipefail; . "$0/tests/lab/lib.sh"; "$@"' "$ROOT" "$@"; }

check "the lab prints its version" test "$(lab ask version)" = "$VERSION"
check "the lab prints the tag of its etcd" test "$(lab ask etcd-tag)" = "$ETCD_TAG"
expect "a fact that the lab does not have is refused" 1 lab ask no-such-fact
check "scenarios use the kubectl of the release" sh -c "kubectl version --client -o json | grep -q '\"gitVersion\": \"$VERSION\"'"
check "sh -c finds clusterctl" sh -c 'ctl --version'
check "no scenario names a version" sh -c "! grep -nE --exclude=05-lab.sh 'v1\.[0-9]+\.[0-9]+' '$E2E'/*.sh '$E2E'/*.yaml"
lab_inventory ha-haproxy.yaml
check "the inventory is valid" ctl validate
check "the inventory has the lab's version" grep -q "^  version: $VERSION\$" "$CLUSTERCTL_INVENTORY"
set_etcd_tag 9.9.9
check "another tag of etcd changes etcd alone" test "$(grep -c 'imageTag: 9.9.9' "$CLUSTERCTL_INVENTORY")" = 1

# From here on, there is a second lab in the directory $other.
names() { CLUSTERCTL_LAB_DIR=$1 bash -c '. "$0/tests/lab/lib.sh"; printf "%s\n" "$HOST_IMAGE" "$SITE_IMAGE" "$LABEL"' "$ROOT"; }
check "labs in two directories share no image name" test -z "$(comm -12 <(names "$LAB" | sort) <(names "$other" | sort))"
check "one host" lab up --masters 1 --workers 0 --lbs 0
says_belongs() { out=$(in_other down 2>&1); [ $? = 1 ] && grep -q "belongs to the lab in $LAB" <<<"$out"; }
check "a lab in another directory does not take these hosts down" says_belongs
check "the host is still there" on m1 true

# None of these releases can be used, and the lab command must report why.
refused() { local want=$1; shift; in_other "$@" >"$WORK/refused" 2>&1; [ $? = 1 ] && grep -qF -- "$want" "$WORK/refused" || { cat "$WORK/refused"; return 1; }; }
mkdir -p "$WORK/release-one/v1.30.1"
check "a folder with one version is refused" refused "holds 1 folders named by a version (v1.30.1)" build --release "$WORK/release-one"
mkdir -p "$WORK/release-two/v1.30.1" "$WORK/release-two/v1.31.2"
check "a folder without programs is refused" refused "v1.30.1/kube-apiserver is missing or not executable" build --release "$WORK/release-two"
check "all faults are reported at once" test "$(grep -c 'is missing' "$WORK/refused")" = 17
check "an official release that cannot be reached is refused, with the next command" \
    env CLUSTERCTL_LAB_K8S_DOWNLOADS=http://127.0.0.1:1/release CLUSTERCTL_LAB_DIR="$other" \
    sh -c "! lab build --release v1.36.2 2>'$WORK/refused' && grep -q 'cannot be reached.*lab build --release FOLDER' '$WORK/refused'"
rm -rf "$WORK/release-one" "$WORK/release-two"
check "an unknown kind of host is refused before anything is built" refused "unknown kind of host: debian9" up --hosts debian9

# Simulates a machine on which Docker cannot start a container: `docker` is a stub that fails. The mounts that hide /sys, or that a build left, are
# made in a mount namespace that exists only until the command exits.
mkdir -p "$WORK/stub"
printf '#!/bin/sh\necho "mkdir /sys/fs/cgroup/cpuset/docker: no such file or directory" >&2\nexit 125\n' >"$WORK/stub/docker"
chmod 0755 "$WORK/stub/docker"
export -f lab_lib
export ROOT WORK LAB
hidden() { unshare -m bash -c 'mount -t tmpfs none /sys && PATH=$WORK/stub:$PATH lab_lib run_container some-host image' 2>&1; }
out=$(hidden); status=$?
check "the command fails if a container does not start" test $status = 1
check "the message of Docker is shown" grep -q 'mkdir /sys/fs/cgroup/cpuset/docker' <<<"$out"
check "the cause and its correction are named" grep -q 'mounted over /sys .*umount /sys' <<<"$out"
left() { unshare -m bash -c 'mkdir -p "$LAB/work/left" && mount -t tmpfs none "$LAB/work/left" && lab_lib no_mounts_left 1' 2>&1; }
out=$(left); status=$?
check "a mount that a build left is found" test $status = 1
check "the mount is named" grep -q "umount .*/work/left" <<<"$out"
rmdir "$LAB/work/left"
check "this lab has left no mount" lab_lib no_mounts_left 1
check "with --foreign, hosts of a lab in another directory are removed" in_other down --foreign
check "no host is left on the network" test -z "$(lab list)"
lab down
rm -rf "$other"
finish
