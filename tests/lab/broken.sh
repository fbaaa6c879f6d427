# broken.sh: makes releases and images that are broken on purpose, for tests of rollbacks. Sourced by `lab`; `lab build --broken` makes them. The
# record names them (DIES, ABSENT and ETCD_BROKEN of release.sh; v1.21.97, v1.21.96 and 3.4.99-0 beside v1.21.14 and etcd 3.4.23):
#   DIES         its API server starts, serves, and ends some 20 s later; everything else works
#   ABSENT       the registry has no image of its API server
#   ETCD_BROKEN  its etcd prints the reason and exits with status 1
# shellcheck shell=bash

BROKEN=$LAB/broken
DIES_AFTER=20       # seconds after the API server begins to listen

# alias_tag NAME OLD-TAG NEW-TAG: gives another tag to an image that the registry has
alias_tag() {
    local type=application/vnd.oci.image.manifest.v1+json
    curl -fsS -H "Accept: $type" "http://$PUSH/v2/$1/manifests/$2" |
        curl -fsS -o /dev/null -X PUT -H "Content-Type: $type" --data-binary @- "http://$PUSH/v2/$1/manifests/$3"
}

# stamp_over NEW BINARY...: writes copies of the programs of $NEXT that report the version NEW. Both names have the same length, so nothing has to
# be linked again: the bytes of one name replace those of the other.
stamp_over() {
    local new=$1 b; shift
    mkdir -p "$BROKEN/$new"
    for b in "$@"; do
        LC_ALL=C sed "s/${NEXT//./\\.}/$new/g" "$RELEASE_FOLDER/$NEXT/$b" >"$BROKEN/$new/$b"
        chmod 0755 "$BROKEN/$new/$b"
    done
}

# shell_tree FOLDER: makes a file tree with a static shell and its tools
shell_tree() {
    rm -rf "$1"; mkdir -p "$1/bin" "$1/tmp" "$1/usr/local/bin" "$1/usr/local/lib"
    cp "$TREES/agnhost/bin/busybox" "$1/bin/"
    chroot "$1" /bin/busybox --install -s /bin
}

# The API server must be the only process with its name, and its end must be the end of the container. So the script runs under another name, and as
# PID 1 it forwards SIGTERM. With --help or --version only the program runs.
dying_api_server() {
    local t=$TREES/dying
    shell_tree "$t"
    cat >"$t/usr/local/bin/kube-apiserver" <<-'SH'
	#!/bin/sh
	case " $* " in *" --help "*|*" --version "*) exec /usr/local/lib/kube-apiserver "$@" ;; esac
	exec /bin/sh /usr/local/lib/dies "$@"
	SH
    cat >"$t/usr/local/lib/dies" <<-SH
	port=6443
	for flag; do case \$flag in --secure-port=*) port=\${flag#*=} ;; esac; done
	/usr/local/lib/kube-apiserver "\$@" &
	server=\$!
	trap 'kill -TERM \$server' TERM
	{
	    until netstat -ltn 2>/dev/null | grep -q ":\$port "; do sleep 0.2; done
	    sleep $DIES_AFTER
	    echo "F1125 00:00:00.000000       1 dies.go:1] broken on purpose: this API server ends $DIES_AFTER s after it began to listen" >&2
	    kill -KILL \$server
	} &
	until wait \$server; [ ! -d /proc/\$server ]; do :; done
	exit 255
	SH
    chmod 0755 "$t/usr/local/bin/kube-apiserver"
    push "kube-apiserver:$DIES" null -C "$t" . -C "$BROKEN/$DIES" --transform 's,^kube-apiserver$,usr/local/lib/kube-apiserver,' kube-apiserver
}

broken_etcd() {
    local t=$TREES/broken-etcd
    shell_tree "$t"
    # The etcdctl of this image works: hosts copy it from this image before anything is swapped.
    cp -a "$TREES/etcd/." "$t/"
    rm "$t/usr/local/bin/etcd"
    cat >"$t/usr/local/bin/etcd" <<-'SH'
	#!/bin/sh
	case " $* " in *" --help "*) exit 0 ;; esac
	echo "etcd: broken on purpose: this etcd does not start" >&2
	exit 1
	SH
    chmod 0755 "$t/usr/local/bin/etcd"
    push "etcd:$ETCD_BROKEN" null -C "$t" .
}

broken_build() {
    local digest start=$SECONDS b v
    [ -n "$DIES" ] && [ -n "$ABSENT" ] ||
        die "no broken releases can be made beside $NEXT: none is newer with a name as long; upgrade to another one: lab build --next"
    digest=$(inputs broken.sh images.sh trees.sh)-$(cat "$LAB/.done/release-$NEXT")
    done_with broken "$digest" && return
    say "making releases that are broken on purpose: $DIES, $ABSENT, etcd:$ETCD_BROKEN"
    rm -rf "$BROKEN"
    stamp_over "$DIES" kubelet kubectl kubeadm kube-apiserver
    stamp_over "$ABSENT" kubelet kubectl kubeadm
    push_registry
    for v in "$DIES" "$ABSENT"; do
        "$BROKEN/$v/kubelet" --version | grep -qx "Kubernetes $v" || die "the kubelet does not report $v"
        site_binaries "$v" "$BROKEN/$v"
        for b in kube-controller-manager kube-scheduler kube-proxy; do alias_tag "$b" "$NEXT" "$v"; done
    done
    dying_api_server
    broken_etcd
    push_registry_stop
    mark_done broken "$digest"
    say "broken releases ready in $((SECONDS - start)) s"
}
