# release.sh: chooses the lab's Kubernetes release and decides everything that differs between releases. Sourced by `lab`. `lab build` writes the
# result to $RECORD as shell variables. Scenarios and benchmarks source that file, and `lab ask` prints from it.
# shellcheck shell=bash

DEBIAN_VERSION=v1.20.2                              # the version of Debian's source package
DEBIAN_NEXT=v1.21.14                                # the version to upgrade to: the same source with another stamp
AGNHOST_TAG=2.20

# recorded NAME: prints a variable of the record, or nothing if there is no record
recorded() { [ ! -e "$RECORD" ] || (. "$RECORD"; printf '%s' "${!1:-}"); }

minor_of() { local rest=${1#v1.}; printf '%s' "${rest%%.*}"; }

# is_version TEXT: succeeds for an official release such as v1.36.2
is_version() { [[ $1 =~ ^v1\.[0-9]+\.[0-9]+$ ]]; }

# at_most A B: succeeds if version A is not newer than version B
at_most() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# pause_tag VERSION: prints the tag of the pause image that kubeadm's newest patch version of this minor version lists. A table is used, because a
# kubeadm with another stamp lists the tag of the source from which it was built.
pause_tag() {
    case $(minor_of "$1") in
        20) echo 3.2 ;; 21) echo 3.4.1 ;; 22) echo 3.5 ;; 23) echo 3.6 ;; 24) echo 3.7 ;; 25) echo 3.8 ;;
        26 | 27 | 28 | 29 | 30) echo 3.9 ;; 31 | 32 | 33) echo 3.10 ;; 34 | 35) echo 3.10.1 ;; 36 | 37) echo 3.10.2 ;;
        *) listed_tag "$1" pause ;;
    esac
}

# listed_tag VERSION IMAGE: prints the tag of an image that the kubeadm of that release lists
listed_tag() {
    local tag
    tag=$("$RELEASE_FOLDER/$1/kubeadm" config images list --kubernetes-version "$1" 2>/dev/null | sed -n "s,^.*/$2:,,p" | head -n 1)
    [ -n "$tag" ] || die "kubeadm $1 does not list an image of $2: the lab does not know its tag"
    printf '%s\n' "$tag"
}

# broken_version N: prints a version of NEXT's minor version that is newer than NEXT and whose name has the same length, for releases that are
# broken on purpose. N is 1 for the newest such version and 2 for the one before it. Prints nothing if there is none.
broken_version() {
    local patch=${NEXT##*.} number
    case ${#patch} in
        1) number=$((10 - $1)) ;;
        *) number=$((98 - $1)) ;;
    esac
    [ "$number" -le "$patch" ] || printf '%s.%d' "${NEXT%.*}" "$number"
}

# release_facts: prints every variable of the record as a NAME=VALUE line that a shell can read. Needs RELEASE, RELEASE_FOLDER, VERSION, NEXT and
# ETCD_VERSION, and COREDNS_VERSION if the release has CoreDNS.
release_facts() {
    local minor next_minor k
    minor=$(minor_of "$VERSION") next_minor=$(minor_of "$NEXT")
    MINOR=$minor
    OFFER=patch; [ "$minor" = "$next_minor" ] || OFFER="next minor"
    NOT_OFFERED=${NEXT%.*}.95                       # a release that no site of the lab has
    DIES=$(broken_version 1) ABSENT=$(broken_version 2)
    ETCD_TAG=$ETCD_VERSION-0
    ETCD_NEXT=$ETCD_VERSION-1                       # the same programs in another image, so that upgrades swap etcd as well
    ETCD_BROKEN=${ETCD_VERSION%.*}.99-0
    PAUSE_TAG=$(pause_tag "$VERSION") || exit
    PAUSE_NEXT=$(pause_tag "$NEXT") || exit
    COREDNS_TAG=${COREDNS_VERSION:+v$COREDNS_VERSION}
    KUBECTL=$SITE/release/$VERSION/bin/linux/amd64/kubectl
    SUITE=$RELEASE_FOLDER/$VERSION/e2e_kubeadm.test
    [ -x "$SUITE" ] || SUITE=
    # From 1.35 on, the kubelet refuses control groups of version 1 unless failCgroupV1 is false; the field exists from 1.31 on.
    FAIL_CGROUP_V1=; [ "$next_minor" -lt 35 ] || FAIL_CGROUP_V1=false
    # RESOLVER is a name server that refuses at once. A kubelet of 1.20, which asks for a cloud's metadata and waits, needs the loopback. CoreDNS
    # takes the loopback for a forwarding loop, so a lab with CoreDNS uses the site's address.
    RESOLVER=127.0.0.1; [ -z "$COREDNS_TAG" ] || RESOLVER=site
    PDB_API=policy/v1; [ "$minor" -ge 21 ] || PDB_API=policy/v1beta1
    NODE_LABEL=node-role.kubernetes.io/control-plane; [ "$minor" -ge 24 ] || NODE_LABEL=node-role.kubernetes.io/master
    NODE_TAINT=$NODE_LABEL
    KUBEADM_API=v1beta4
    [ "$minor" -ge 31 ] || KUBEADM_API=v1beta3
    [ "$minor" -ge 22 ] || KUBEADM_API=v1beta2
    CRI_SOCKET=unix:///run/containerd/containerd.sock; [ "$minor" -ge 24 ] || CRI_SOCKET=${CRI_SOCKET#unix://}
    CLUSTER_STATUS=; [ "$minor" -ge 22 ] || CLUSTER_STATUS=yes          # whether kubeadm-config lists API servers under ClusterStatus
    RESET_SKIPS=remove-etcd-member; [ "$minor" -ge 22 ] || RESET_SKIPS=update-cluster-status,remove-etcd-member
    for k in RELEASE RELEASE_FOLDER VERSION NEXT MINOR OFFER NOT_OFFERED DIES ABSENT ETCD_TAG ETCD_NEXT ETCD_BROKEN PAUSE_TAG PAUSE_NEXT \
        COREDNS_TAG AGNHOST_TAG KUBECTL SUITE FAIL_CGROUP_V1 RESOLVER PDB_API NODE_LABEL NODE_TAINT KUBEADM_API CRI_SOCKET CLUSTER_STATUS \
        RESET_SKIPS; do
        printf '%s=%q\n' "$k" "${!k}"
    done
}

# record_release: writes the record and reads it. Paths are relative to $LAB, so that the record of a copied directory is valid.
record_release() {
    release_facts >"$RECORD.new"
    sed -i "s|=$LAB/|=\$LAB/|" "$RECORD.new"
    mv "$RECORD.new" "$RECORD"
    . "$RECORD"
}

# read_record: reads the variables of the record, for commands that need a lab that is already built
read_record() { [ -e "$RECORD" ] || die "this lab is not built yet: run lab build"; . "$RECORD"; }

# ask [NAME]: prints one fact of the record, such as version, next, kubectl or etcd-tag; without a name all facts
ask() {
    local name
    read_record
    [ $# -gt 0 ] || { cat "$RECORD"; return; }
    name=$(tr 'a-z-' 'A-Z_' <<<"$1")
    grep -q "^$name=" "$RECORD" || die "no such fact: $1 (lab ask lists all of them)"
    printf '%s\n' "${!name}"
}

# choose_release RELEASE NEXT: sets RELEASE, RELEASE_FOLDER, VERSION and NEXT. If RELEASE is empty, the release of the last build is used, or
# Debian's source package. Files of another release are removed from the lab.
choose_release() {
    local before
    before=$(recorded RELEASE)
    RELEASE=${1:-${before:-debian}}
    [ -n "$2" ] || [ "$RELEASE" != "$before" ] || set -- "$1" "$(recorded NEXT)"
    case $RELEASE in
        debian)
            RELEASE_FOLDER=$LAB/bin VERSION=$DEBIAN_VERSION NEXT=${2:-$DEBIAN_NEXT}
            is_version "$NEXT" || die "a stamp has the form v1.21.9, and $NEXT does not" ;;
        v*) official_release "$RELEASE" "${2:-}" ;;
        *) RELEASE=$(realpath -- "$RELEASE" 2>/dev/null) || die "no such folder: $RELEASE"
           folder_release "$RELEASE" "${2:-}" ;;
    esac
    [ "$VERSION" != "$NEXT" ] && at_most "$VERSION" "$NEXT" || die "the release to upgrade to, $NEXT, is not newer than $VERSION"
    [ $(($(minor_of "$NEXT") - $(minor_of "$VERSION"))) -le 1 ] || die "no upgrade leads from $VERSION to $NEXT in one step: kubeadm allows one minor"
    if [ -n "$before" ] && [ "$before $(recorded VERSION) $(recorded NEXT)" != "$RELEASE $VERSION $NEXT" ]; then
        say "this lab held $(recorded VERSION) and $(recorded NEXT) of $before: both are removed from its site"
        rm -rf "$RECORD" "$SITE/release" "$LAB"/.done/release-* "$LAB/.done/broken"
    fi
    mkdir -p "$SITE/release"
}
