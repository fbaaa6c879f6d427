# kubernetes.sh: builds Kubernetes binaries from Debian bookworm's source package `kubernetes`. Sourced by `lab`.
# shellcheck shell=bash

K8S_TREE=$LAB/src/kubernetes
K8S_BINARIES=(kubelet kubectl kubeadm kube-apiserver kube-controller-manager kube-scheduler kube-proxy)

# the unpacked tree, with the vendored reflect2 1.0.1 (which crashes under Go 1.18 and later) replaced by Debian's 1.0.2
kubernetes_source() {
    local r2=vendor/github.com/modern-go/reflect2
    [ -e "$K8S_TREE/.lab-ready" ] && return
    need golang-go rsync golang-github-modern-go-reflect2-dev dpkg-dev gcc libc6-dev make
    private_apt
    mkdir -p "$LAB/src"
    say "fetching and unpacking the source package kubernetes"
    (
        cd "$LAB/src" || exit
        rm -rf "$K8S_TREE" kubernetes_*
        apt_private -qq source --download-only kubernetes
        dpkg-source -x --no-check kubernetes_*.dsc "$K8S_TREE" >/dev/null
        cd "$K8S_TREE" || exit
        grep -q "tag: $K8S_DEFAULT'" hack/lib/version.sh || die "the source package no longer holds $K8S_DEFAULT"
        rm -f $r2/*.go $r2/*.s
        cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} $r2/
        touch .lab-ready
    )
}

# kubernetes_build STAMP: every binary into $LAB/bin/STAMP. A stamp other than the source's own is a re-stamp.
kubernetes_build() {
    local stamp=$1 out=$LAB/bin/$1 what=() b start=$SECONDS
    [[ $stamp =~ ^v1\.([0-9]+)\.[0-9]+$ ]] || die "a stamp looks like v1.21.9, not $stamp"
    done_with "kubernetes-$stamp" "$K8S_DEFAULT+suite" && return
    kubernetes_source
    if [ "$stamp" = "$K8S_DEFAULT" ]; then
        say "building Kubernetes $stamp from source (about 6 minutes of two cores)"
    else
        say "RE-STAMP: linking the same $K8S_DEFAULT source as $stamp, for upgrade rehearsals only"
    fi
    for b in "${K8S_BINARIES[@]}"; do what+=("cmd/$b"); done
    # kubeadm's end-to-end suite says what a cluster of kubeadm's is.
    [ "$stamp" = "$K8S_DEFAULT" ] && what+=(test/images/agnhost test/e2e_kubeadm/e2e_kubeadm.test)
    cat >"$LAB/src/version-$stamp" <<-END
	KUBE_GIT_COMMIT=$(printf '%040d' 0)
	KUBE_GIT_TREE_STATE=archive
	KUBE_GIT_VERSION=$stamp
	KUBE_GIT_MAJOR=1
	KUBE_GIT_MINOR=${BASH_REMATCH[1]}
	END
    (
        cd "$K8S_TREE" && env -u GOPATH -u GOROOT CGO_ENABLED=0 KUBE_GIT_VERSION_FILE="$LAB/src/version-$stamp" GOFLAGS=-mod=vendor \
            nice -n 10 make all WHAT="${what[*]}" >"$LAB/src/build-$stamp.log" 2>&1
    ) || { tail -30 "$LAB/src/build-$stamp.log" >&2; die "the build of $stamp failed: see $LAB/src/build-$stamp.log"; }
    mkdir -p "$out"
    for b in "${what[@]}"; do cp -f "$K8S_TREE/_output/local/bin/linux/amd64/${b##*/}" "$out/"; done
    if [ "$stamp" = "$K8S_DEFAULT" ]; then
        gcc -Os -Wall -static -DVERSION="v$PAUSE_TAG-lab" -o "$out/pause" "$K8S_TREE/build/pause/linux/pause.c"
        strip "$out/pause"
    fi
    "$out/kubelet" --version | grep -qx "Kubernetes $stamp" || die "the built kubelet does not report $stamp"
    mark_done "kubernetes-$stamp" "$K8S_DEFAULT+suite"
    say "built Kubernetes $stamp in $((SECONDS - start)) s"
}
