# lib.sh: names, paths and small helpers that every lab script shares. Sourced, never run.
# shellcheck disable=SC2034
# shellcheck shell=bash

LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_ROOT=$(cd "$LAB_SRC/../.." && pwd)
LAB=${CLUSTERCTL_LAB_DIR:-$LAB_ROOT/target/lab}     # every product; may be moved to share a cache between checkouts

NET=${CLUSTERCTL_LAB_NET:-clusterctl-lab}           # another name and subnet make a second lab beside the first
SUBNET=${CLUSTERCTL_LAB_SUBNET:-172.30.0}           # the first three numbers of a /24
SITE_IP=$SUBNET.2
REGISTRY=$SITE_IP:5000
# Docker has one list of images for the whole machine. Names with the lab directory's digest keep two labs apart: a host image holds the
# SSH key of the directory that it was built in.
LAB_ID=$(realpath -m "$LAB" | sha256sum | cut -c1-8)
LABEL=clusterctl.lab=$LAB_ID
HOST_IMAGE=clusterctl-lab-host-$LAB_ID              # with the kind of host as its tag
SITE_IMAGE=clusterctl-lab-site-$LAB_ID
SITE=$LAB/site
SSH_KEY=$LAB/ssh/id_ed25519
RECORD=$LAB/release                                 # what this lab holds, as shell variables: see release.sh

say()  { printf '%s lab: %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
die()  { printf 'lab: %s\n' "$*" >&2; exit 1; }

# need PACKAGE...: install what is missing on this machine, and say so
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

# done_with NAME DIGEST: true when part NAME was finished from exactly these inputs; mark_done NAME DIGEST says so
done_with() { [ "$(cat "$LAB/.done/$1" 2>/dev/null)" = "$2" ]; }
mark_done() { mkdir -p "$LAB/.done"; printf '%s\n' "$2" >"$LAB/.done/$1"; }

# inputs FILE...: one digest over the content of files (relative to the scripts)
inputs() { (cd "$LAB_SRC" && cat "$@" | sha256sum | cut -c1-16); }

# identity FILE...: one digest over names, sizes and times of files, for programs that are too large to be read each time
identity() {
    local f
    for f in "$@"; do [ ! -f "$f" ] || echo "${f##*/} $(stat -L -c '%s %Y' "$f")"; done | sha256sum | cut -c1-16
}

# wait_for SECONDS WHAT COMMAND...: poll a condition until it holds
wait_for() {
    local limit=$1 what=$2 end; shift 2
    end=$((SECONDS + limit))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || die "gave up after ${limit}s: $what"
        sleep 0.1
    done
}

# debian_sources: this machine's own Debian sources, with source packages switched on, as one deb822 or list file
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

# private_apt: an apt of our own under $LAB/apt (sources, lists and cache), so the machine's apt is left as it is
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

# sys_mounts: how many file systems are mounted at /sys, one over the other
sys_mounts() { awk '$5 == "/sys"' /proc/self/mountinfo | wc -l; }

# no_mounts_left BEFORE: a build leaves no mount behind, neither below the lab's directory nor a second one over /sys
no_mounts_left() {
    local below
    below=$(awk -v lab="$(realpath "$LAB")/" 'index($5, lab) == 1 {print $5}' /proc/self/mountinfo)
    [ -z "$below" ] || die "the build left mounts behind; unmount them:$(printf '\n  umount %s' $below)"
    [ "$(sys_mounts)" -le "$1" ] || die "while the lab was built, a file system was mounted over /sys, and Docker can start no container now; unmount it: umount /sys"
}

# machine_fault: why Docker cannot start a container on this machine, and the command that mends it, where the lab knows
machine_fault() {
    if [ "$(sys_mounts)" -gt 1 ]; then
        echo "The cause: a second file system is mounted over /sys and hides the control groups below it. The mend: umount /sys"
    elif ! awk '{print $5}' /proc/self/mountinfo | grep -q '^/sys/fs/cgroup'; then
        echo "The cause: no control groups are mounted below /sys/fs/cgroup. The mend: apt-get install cgroupfs-mount, and restart Docker"
    elif ! docker info >/dev/null 2>&1; then
        echo "The cause: Docker Engine does not answer. The mend: start it, and see its log where it does not start"
    else
        echo "Docker Engine's own log says more"
    fi
}

# run_container NAME OPTION...: docker run -d under this name; a container that does not start is removed again, and the cause is named
run_container() {
    local name=$1 out; shift
    if out=$(docker run -d --name "$name" "$@" 2>&1 >/dev/null); then return; fi
    docker rm -fv "$name" >/dev/null 2>&1 || true
    die "Docker cannot start the container $name: $out
$(machine_fault)"
}
