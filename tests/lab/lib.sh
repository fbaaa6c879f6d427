# lib.sh: names, paths and small helpers that every lab script shares. Sourced, never run.
# shellcheck disable=SC2034
# shellcheck shell=bash

LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_ROOT=$(cd "$LAB_SRC/../.." && pwd)
LAB=${CLUSTERCTL_LAB_DIR:-$LAB_ROOT/target/lab}     # all files that the lab makes; may be moved to share a cache between checkouts

NET=${CLUSTERCTL_LAB_NET:-clusterctl-lab}           # with another name and subnet, a second lab can exist beside the first
SUBNET=${CLUSTERCTL_LAB_SUBNET:-172.30.0}           # the first three numbers of a /24
SITE_IP=$SUBNET.2
REGISTRY=$SITE_IP:5000
# Docker has one list of images for the whole machine. The digest of the lab directory in the names keeps two labs apart: a host image contains the
# SSH key of the directory in which it was built.
LAB_ID=$(realpath -m "$LAB" | sha256sum | cut -c1-8)
LABEL=clusterctl.lab=$LAB_ID
HOST_IMAGE=clusterctl-lab-host-$LAB_ID              # its tag is the kind of host
SITE_IMAGE=clusterctl-lab-site-$LAB_ID
SITE=$LAB/site
SSH_KEY=$LAB/ssh/id_ed25519
RECORD=$LAB/release                                 # what this lab contains, as shell variables: see release.sh

say()  { printf '%s lab: %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
die()  { printf 'lab: %s\n' "$*" >&2; exit 1; }

# need PACKAGE...: installs the packages that are missing on this machine, and prints their names
need() {
    local missing=() p
    for p in "$@"; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing on this machine: ${missing[*]}"
    if ! [ -e "$LAB/.apt-updated" ]; then
        apt-get -qq update
        mkdir -p "$LAB"; touch "$LAB/.apt-updated"
    fi
    DEBIAN_FRONTEND=noninteractive nice apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# done_with NAME DIGEST: succeeds if the part NAME was finished from exactly these inputs; mark_done NAME DIGEST records that
done_with() { [ "$(cat "$LAB/.done/$1" 2>/dev/null)" = "$2" ]; }
mark_done() { mkdir -p "$LAB/.done"; printf '%s\n' "$2" >"$LAB/.done/$1"; }

# inputs FILE...: prints one digest of the content of files (relative to the scripts)
inputs() { (cd "$LAB_SRC" && cat "$@" | sha256sum | cut -c1-16); }

# identity FILE...: prints one digest of names, sizes and times of files, for programs that are too large to be read each time
identity() {
    local f
    for f in "$@"; do [ ! -f "$f" ] || echo "${f##*/} $(stat -L -c '%s %Y' "$f")"; done | sha256sum | cut -c1-16
}

# wait_for SECONDS WHAT COMMAND...: repeats the command until it succeeds, and ends the script after the limit
wait_for() {
    local limit=$1 what=$2 end; shift 2
    end=$((SECONDS + limit))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || die "gave up after ${limit}s: $what"
        sleep 0.1
    done
}

# debian_sources: prints this machine's own Debian sources, with source packages enabled, in deb822 format
debian_sources() {
    local f
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -e "$f" ] && grep -q 'debian-archive-keyring' "$f" &&
            { sed 's/^Types:.*/Types: deb deb-src/' "$f"; echo; }
    done
    if [ -s /etc/apt/sources.list ]; then
        sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+) +([^ ]+) +(.*)$/Types: deb deb-src\nURIs: \2\nSuites: \3\nComponents: \4\nSigned-By: \/usr\/share\/keyrings\/debian-archive-keyring.gpg\n/p' \
            /etc/apt/sources.list
    fi
}

# private_apt: updates an apt under $LAB/apt with its own sources, lists and cache, so that the machine's apt does not change
private_apt() {
    local a=$LAB/apt
    if ! [ -e "$a/updated" ]; then
        mkdir -p "$a/lists/partial" "$a/archives/partial"
        debian_sources >"$a/debian.sources"
        grep -q bookworm "$a/debian.sources" || die "no Debian bookworm source found under /etc/apt"
        apt_private -qq update
        touch "$a/updated"
    fi
}
apt_private() {
    local a=$LAB/apt
    apt-get -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$a" \
        -o Dir::State::Lists="$a/lists" -o Dir::Cache="$a" -o Dir::Cache::archives="$a/archives" \
        -o APT::Sandbox::User=root "$@"
}

# sys_mounts: prints how many file systems are mounted at /sys, one over the other
sys_mounts() { awk '$5 == "/sys"' /proc/self/mountinfo | wc -l; }

# no_mounts_left BEFORE: fails if a build left a mount below the lab's directory, except the disks of hosts, or another one over /sys. BEFORE: what
# sys_mounts printed before
no_mounts_left() {
    local below
    below=$(awk -v lab="$(realpath "$LAB")/" 'index($5, lab) == 1 && index($5, lab "disks/") != 1 {print $5}' /proc/self/mountinfo)
    [ -z "$below" ] || die "the build left mounts behind; unmount them:$(printf '\n  umount %s' $below)"
    [ "$(sys_mounts)" -le "$1" ] || die "while the lab was built, a file system was mounted over /sys, and Docker can start no container now; unmount it: umount /sys"
}

# machine_fault: prints why Docker cannot start a container on this machine and the command that corrects it, if the lab knows the cause
machine_fault() {
    if [ "$(sys_mounts)" -gt 1 ]; then
        echo "The cause: a second file system is mounted over /sys and hides the control groups below it. To correct it: umount /sys"
    elif ! awk '{print $5}' /proc/self/mountinfo | grep -q '^/sys/fs/cgroup'; then
        echo "The cause: no control groups are mounted below /sys/fs/cgroup. To correct it: apt-get install cgroupfs-mount, and restart Docker"
    elif ! docker info >/dev/null 2>&1; then
        echo "The cause: Docker Engine does not answer. To correct it: start it, and read its log if it does not start"
    else
        echo "Docker Engine's own log has more details"
    fi
}

# run_container NAME OPTION...: runs docker run -d with this name; removes a container that does not start, and prints the cause
run_container() {
    local name=$1 out; shift
    if out=$(docker run -d --name "$name" "$@" 2>&1 >/dev/null); then return; fi
    docker rm -fv "$name" >/dev/null 2>&1 || true
    die "Docker cannot start the container $name: $out
$(machine_fault)"
}
