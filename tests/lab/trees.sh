# trees.sh: makes the small file trees that images need besides a static binary. Sourced by `lab`.
# shellcheck shell=bash

TREES=$LAB/work/trees

# build_trees: makes the trees with kube-proxy's iptables, with a C library for programs that are linked dynamically, and with agnhost's shell
build_trees() {
    local digest b t=$TREES start=$SECONDS
    digest=$(inputs trees.sh)
    done_with trees "$digest" && return
    say "bootstrapping the trees for kube-proxy, etcd and agnhost"
    rm -rf "$t"; mkdir -p "$t"
    bootstrap bookworm "$t/proxy" --variant=extract --include=iptables,conntrack,ipset,iproute2,kmod
    for b in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        ln -sfn xtables-nft-multi "$t/proxy/usr/sbin/$b"
    done
    mkdir -p "$t/libc/usr/local/bin" "$t/libc/lib64" "$t/libc/lib/x86_64-linux-gnu" "$t/libc/tmp"
    cp -L "$t/proxy/lib64/ld-linux-x86-64.so.2" "$t/libc/lib64/"
    for b in libc.so.6 libpthread.so.0 libresolv.so.2 libdl.so.2; do
        cp -L "$(find "$t/proxy" -name "$b" | head -1)" "$t/libc/lib/x86_64-linux-gnu/"
    done
    bootstrap bookworm "$t/busybox" --variant=extract --include=busybox-static
    mkdir -p "$t/agnhost/bin" "$t/agnhost/tmp"
    cp "$t/busybox/bin/busybox" "$t/agnhost/bin/busybox"
    chroot "$t/agnhost" /bin/busybox --install -s /bin
    rm -rf "$t/busybox" "$t"/proxy/var/{lib/apt,cache} "$t/proxy/usr/share"/{doc,man,locale}
    mark_done trees "$digest"
    say "trees ready in $((SECONDS - start)) s"
}

# debian_etcd: copies Debian's etcd and etcdctl into $LAB/bin, for the release that is built from Debian's packages
debian_etcd() {
    done_with debian-etcd 1 && return
    rm -rf "$LAB/work/etcd-package"; mkdir -p "$LAB/bin"
    bootstrap bookworm "$LAB/work/etcd-package" --variant=extract --include=etcd-server,etcd-client,libc6
    cp -f "$LAB/work/etcd-package"/usr/bin/{etcd,etcdctl} "$LAB/bin/"
    rm -rf "$LAB/work/etcd-package"
    mark_done debian-etcd 1
}

# etcd_tree: makes a tree with the release's etcd, etcdctl and (from etcd 3.5 on) etcdutl and a C library; sets ETCD_VERSION
etcd_tree() {
    local digest p t=$TREES/etcd
    digest=$(inputs trees.sh)-$(identity "$RELEASE_FOLDER"/etcd*)
    if ! done_with etcd-tree "$digest" || ! [ -d "$t" ]; then
        rm -rf "$t"
        cp -a "$TREES/libc" "$t"
        for p in etcd etcdctl etcdutl; do
            [ ! -x "$RELEASE_FOLDER/$p" ] || cp -L "$RELEASE_FOLDER/$p" "$t/usr/local/bin/"
        done
        chroot "$t" /usr/local/bin/etcdctl version >/dev/null || die "the release's etcdctl does not start in its tree"
        mark_done etcd-tree "$digest"
    fi
    ETCD_VERSION=$(chroot "$t" /usr/local/bin/etcd --version | sed -n 's/^etcd Version: //p')
    [[ $ETCD_VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "the release's etcd does not start in its tree, or reports no version: '$ETCD_VERSION'"
}
