# kubernetes.sh: builds Kubernetes binaries from Debian bookworm's source package `kubernetes`. Sourced by `lab`.
# shellcheck shell=bash

K8S_TREE=$LAB/src/kubernetes
# The tree is built without its cloud providers, because no lab host is in a cloud and their vendored clients are a third of the code to compile.
BUILD_FLAGS="-mod=vendor -tags=providerless"
K8S_DIGEST="$DEBIAN_VERSION+suite $BUILD_FLAGS"
# In a release with another stamp, the API server repeats requests to etcd; see `asks_again`.
RESTAMP_DIGEST="$K8S_DIGEST asks-again"

# kubernetes_source: unpacks the source package, and replaces the vendored reflect2 1.0.1 (which crashes under Go 1.18 and later) with Debian's
# 1.0.2
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
        grep -q "tag: $DEBIAN_VERSION'" hack/lib/version.sh || die "the source package no longer holds $DEBIAN_VERSION"
        rm -f $r2/*.go $r2/*.s
        cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} $r2/
        touch .lab-ready
    )
}

# asks_again STAMP: sets whether the API server's etcd client repeats a request after an answer such as "leader changed". In 1.20.2 it never does,
# because the interceptor that counts requests replaces the one that repeats them. Kubernetes corrected this in 1.23 and in the last patch versions
# of 1.21 and 1.22, among them 1.21.14 (kubernetes/kubernetes#105069, #110356), so a release with another stamp has the correction as well.
asks_again() {
    local file=$K8S_TREE/staging/src/k8s.io/apiserver/pkg/storage/storagebackend/factory/etcd3.go with=With
    [ "$1" = "$DEBIAN_VERSION" ] || with=WithChain
    sed -i -E "s/grpc\.With(Chain)?(Unary|Stream)Interceptor\(grpcprom/grpc.$with\2Interceptor(grpcprom/" "$file"
    [ "$(grep -c "grpc\.$with\(Unary\|Stream\)Interceptor(grpcprom" "$file")" = 2 ] || die "the source package no longer has etcd's client where it was"
}

# kubernetes_build STAMP: builds every binary into $LAB/bin/STAMP. A stamp that is not the source's own version makes a re-stamp.
kubernetes_build() {
    local stamp=$1 out=$LAB/bin/$1 what=() b start=$SECONDS digest=$K8S_DIGEST
    [ "$stamp" = "$DEBIAN_VERSION" ] || digest=$RESTAMP_DIGEST
    done_with "kubernetes-$stamp" "$digest" && return
    kubernetes_source
    asks_again "$stamp"
    if [ "$stamp" = "$DEBIAN_VERSION" ]; then
        say "building Kubernetes $stamp from source (about 6 minutes of two cores)"
    else
        say "RE-STAMP: building the same $DEBIAN_VERSION source as $stamp, but for its repeated requests to etcd, for upgrade rehearsals only"
    fi
    for b in "${PROGRAMS[@]}"; do what+=("cmd/$b"); done
    # kubeadm's end-to-end suite checks whether a cluster is like one that kubeadm made.
    [ "$stamp" = "$DEBIAN_VERSION" ] && what+=(test/images/agnhost test/e2e_kubeadm/e2e_kubeadm.test)
    cat >"$LAB/src/version-$stamp" <<-END
	KUBE_GIT_COMMIT=$(printf '%040d' 0)
	KUBE_GIT_TREE_STATE=archive
	KUBE_GIT_VERSION=$stamp
	KUBE_GIT_MAJOR=1
	KUBE_GIT_MINOR=$(minor_of "$stamp")
	END
    (
        cd "$K8S_TREE" && env -u GOPATH -u GOROOT CGO_ENABLED=0 KUBE_GIT_VERSION_FILE="$LAB/src/version-$stamp" GOFLAGS="$BUILD_FLAGS" \
            nice -n 10 make all WHAT="${what[*]}" >"$LAB/src/build-$stamp.log" 2>&1
    ) || { tail -30 "$LAB/src/build-$stamp.log" >&2; die "the build of $stamp failed: see $LAB/src/build-$stamp.log"; }
    mkdir -p "$out"
    for b in "${what[@]}"; do cp -f "$K8S_TREE/_output/local/bin/linux/amd64/${b##*/}" "$out/"; done
    [ "$stamp" != "$DEBIAN_VERSION" ] || build_pause "$out/pause"
    "$out/kubelet" --version | grep -qx "Kubernetes $stamp" || die "the built kubelet does not report $stamp"
    mark_done "kubernetes-$stamp" "$digest"
    say "built Kubernetes $stamp in $((SECONDS - start)) s"
}

# build_pause FILE: builds the program of the pause image
build_pause() {
    need gcc libc6-dev
    gcc -Os -Wall -static -DVERSION="lab" -o "$1.new" "$K8S_TREE/build/pause/linux/pause.c"
    strip "$1.new"
    mv "$1.new" "$1"
}

# debian_folder: completes $LAB/bin to a release in the layout of README.md; etcd comes from its own package (trees.sh)
debian_folder() {
    local p
    for p in pause agnhost; do ln -f "$LAB/bin/$DEBIAN_VERSION/$p" "$LAB/bin/$p"; done
}

# agnhost_program: prints the path of agnhost, the test server of Kubernetes that pods of scenarios run. The server is the same in every release, so
# for a release without it, it is built from Debian's source package.
agnhost_program() {
    local built=$LAB/bin/$DEBIAN_VERSION/agnhost
    if [ -x "$RELEASE_FOLDER/agnhost" ]; then echo "$RELEASE_FOLDER/agnhost"; return; fi
    if ! [ -x "$built" ]; then
        kubernetes_source
        say "building agnhost from Debian's source package"
        (cd "$K8S_TREE" && env -u GOPATH -u GOROOT CGO_ENABLED=0 GOFLAGS="$BUILD_FLAGS" nice -n 10 \
            make all WHAT=test/images/agnhost >"$LAB/src/build-agnhost.log" 2>&1) ||
            { tail -30 "$LAB/src/build-agnhost.log" >&2; die "the build of agnhost failed: see $LAB/src/build-agnhost.log"; }
        mkdir -p "${built%/*}"
        cp -f "$K8S_TREE/_output/local/bin/linux/amd64/agnhost" "$built"
    fi
    echo "$built"
}
