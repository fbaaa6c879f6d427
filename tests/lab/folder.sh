# folder.sh: checks a release that is a folder of programs. The operator has the folder, or it is downloaded from the official sites. Sourced by
# `lab`. README.md beside this file describes the layout.
# shellcheck shell=bash

PROGRAMS=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl kubeadm)

# Official releases are downloaded from these sites; a mirror must have the same layout.
K8S_DOWNLOADS=${CLUSTERCTL_LAB_K8S_DOWNLOADS:-https://dl.k8s.io/release}
ETCD_DOWNLOADS=${CLUSTERCTL_LAB_ETCD_DOWNLOADS:-https://github.com/etcd-io/etcd/releases/download}
COREDNS_DOWNLOADS=${CLUSTERCTL_LAB_COREDNS_DOWNLOADS:-https://github.com/coredns/coredns/releases/download}

# folder_release FOLDER NEXT: takes both versions from the names of the folders in FOLDER; reports all faults of the layout at once
folder_release() {
    local folder=$1 next=$2 versions v p faults=()
    [ -d "$folder" ] || die "no such folder: $folder"
    mapfile -t versions < <(cd "$folder" && for v in v1.*; do if is_version "$v" && [ -d "$v" ]; then echo "$v"; fi; done | sort -V)
    [ ${#versions[@]} = 2 ] ||
        die "$folder holds ${#versions[@]} folders named by a version (${versions[*]:-none}); a release needs two: one to found a cluster of and one to upgrade to"
    RELEASE_FOLDER=$folder VERSION=${versions[0]} NEXT=${versions[1]}
    [ -z "$next" ] || [ "$next" = "$NEXT" ] || die "$folder holds $NEXT to upgrade to, not $next"
    for v in "${versions[@]}"; do
        for p in "${PROGRAMS[@]}"; do [ -x "$folder/$v/$p" ] || faults+=("$v/$p is missing or not executable"); done
    done
    while IFS= read -r p; do faults+=("$p is a symbolic link; images need the program itself"); done < <(cd "$folder" && find . -maxdepth 2 -type l)
    for p in etcd etcdctl pause; do [ -x "$folder/$p" ] || faults+=("$p is missing or not executable"); done
    [ ${#faults[@]} = 0 ] || die "$folder does not have the layout of a release (tests/lab/README.md):$(printf '\n  %s' "${faults[@]}")"
    for v in "${versions[@]}"; do
        "$folder/$v/kubelet" --version | grep -qx "Kubernetes $v" || faults+=("$v/kubelet reports $("$folder/$v/kubelet" --version)")
        for p in kube-apiserver kube-controller-manager kube-scheduler; do
            ! ldd "$folder/$v/$p" >/dev/null 2>&1 || faults+=("$v/$p is linked dynamically, and its image holds the program alone")
        done
    done
    [ ${#faults[@]} = 0 ] || die "$folder cannot be used:$(printf '\n  %s' "${faults[@]}")"
}

# reach URL: prints the text at a URL; if the URL cannot be reached, ends the command with a message that names the site
reach() {
    curl -fsSL --connect-timeout 10 --retry 2 "$1" 2>/dev/null ||
        die "$1 cannot be reached: name a release that exists, set CLUSTERCTL_LAB_K8S_DOWNLOADS to a mirror, or give a folder: lab build --release FOLDER"
}

# official_release VERSION NEXT: downloads the official programs of a release once. If NEXT is empty, upgrades lead to the newest patch of the next
# minor version or, if there is none yet, of this one.
official_release() {
    local minor
    is_version "$1" || die "a release looks like v1.36.2, not $1"
    VERSION=$1 NEXT=$2 RELEASE_FOLDER=$LAB/official/$1
    [ ! -e "$RELEASE_FOLDER/.whole" ] || { folder_release "$RELEASE_FOLDER" "$2"; return; }
    reach "$K8S_DOWNLOADS/$VERSION/bin/linux/amd64/kubelet.sha256" >/dev/null
    minor=$(minor_of "$VERSION")
    if [ -z "$NEXT" ]; then
        NEXT=$(curl -fsSL --connect-timeout 10 "$K8S_DOWNLOADS/stable-1.$((minor + 1)).txt" 2>/dev/null || true)
        [ -n "$NEXT" ] || NEXT=$(reach "$K8S_DOWNLOADS/stable-1.$minor.txt") || exit
        [ "$NEXT" != "$VERSION" ] || die "$VERSION is the newest release: name the one to upgrade to with --next"
    fi
    official_download
    folder_release "$RELEASE_FOLDER" "$NEXT"
}

# verified URL FILE DIGEST: downloads the URL to FILE; FILE exists only if it is whole and has this SHA-256 digest
verified() {
    mkdir -p "${2%/*}"
    if [ -e "$2" ] && printf '%s  %s\n' "$3" "$2" | sha256sum --status -c; then return; fi
    curl -fsSL --connect-timeout 10 --retry 3 -o "$2.part" "$1" || die "$1 cannot be downloaded"
    printf '%s  %s\n' "$3" "$2.part" | sha256sum --quiet -c >&2 || die "$1 does not have the digest that the site lists for it"
    chmod 0755 "$2.part"
    mv "$2.part" "$2"
}

official_download() {
    local v p url etcd coredns f=$RELEASE_FOLDER start=$SECONDS digest
    for v in "$VERSION" "$NEXT"; do
        for p in "${PROGRAMS[@]}"; do
            url=$K8S_DOWNLOADS/$v/bin/linux/amd64/$p
            digest=$(reach "$url.sha256") || exit
            verified "$url" "$f/$v/$p" "$digest"
        done
    done
    etcd=$(listed_tag "$VERSION" etcd) || exit
    etcd=v${etcd%-*}
    p=etcd-$etcd-linux-amd64.tar.gz
    digest=$(reach "$ETCD_DOWNLOADS/$etcd/SHA256SUMS" | awk -v p="$p" '$2 == p {print $1}')
    verified "$ETCD_DOWNLOADS/$etcd/$p" "$f/archives/$p" "$digest"
    tar -xzf "$f/archives/$p" -C "$f" --strip-components 1 --wildcards '*/etcd' '*/etcdctl' '*/etcdutl'
    coredns=$(listed_tag "$VERSION" coredns) || exit
    coredns=v${coredns#v}
    p=coredns_${coredns#v}_linux_amd64.tgz
    digest=$(reach "$COREDNS_DOWNLOADS/$coredns/$p.sha256" | awk '{print $1}')
    verified "$COREDNS_DOWNLOADS/$coredns/$p" "$f/archives/$p" "$digest"
    tar -xzf "$f/archives/$p" -C "$f" coredns
    # pause has no download of its own: it is one small source file, which is also in Debian's source package.
    kubernetes_source
    build_pause "$f/pause"
    touch "$f/.whole"
    say "downloaded $VERSION and $NEXT in $((SECONDS - start)) s"
}
