# lib.sh: names, paths and small helpers that every lab script shares. Sourced, never run.
# shellcheck disable=SC2034
# shellcheck shell=bash

LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_ROOT=$(cd "$LAB_SRC/../.." && pwd)
LAB=${CLUSTERCTL_LAB_DIR:-$LAB_ROOT/target/lab}     # every product; may be moved to share a cache between checkouts

K8S_DEFAULT=v1.20.2                                 # what Debian's source package holds
K8S_NEXT=v1.21.14                                  # what upgrades are rehearsed with: the same source under another stamp
PAUSE_TAG=3.2
PAUSE_NEXT=3.4.1                                    # what 1.21 names; the same program
ETCD_TAG=3.4.23-0
ETCD_NEXT=3.4.23-1                                  # the same program in another image, so that upgrades swap etcd, too
AGNHOST_TAG=2.20

NET=${CLUSTERCTL_LAB_NET:-clusterctl-lab}           # another name and subnet make a second lab beside the first
SUBNET=${CLUSTERCTL_LAB_SUBNET:-172.30.0}           # the first three numbers of a /24
SITE_IP=$SUBNET.2
REGISTRY=$SITE_IP:5000
LABEL=clusterctl.lab=1
HOST_IMAGE=clusterctl-lab-host
SITE_IMAGE=clusterctl-lab-site
SITE=$LAB/site
SSH_KEY=$LAB/ssh/id_ed25519

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
