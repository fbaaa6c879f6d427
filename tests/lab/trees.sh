# trees.sh: the small file trees that images need besides a static binary. Sourced by `lab`.
# shellcheck shell=bash

# kube-proxy's iptables, etcd with its libc, agnhost's shell
build_trees() {
    local digest t=$LAB/work/trees start=$SECONDS
    digest=$(inputs trees.sh)
    done_with trees "$digest" && return
    say "bootstrapping the trees for kube-proxy, etcd and agnhost"
    rm -rf "$t"; mkdir -p "$t"
    bootstrap "$t/proxy" --variant=extract --include=iptables,conntrack,ipset,iproute2,kmod
    for b in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        ln -sfn xtables-nft-multi "$t/proxy/usr/sbin/$b"
    done
    bootstrap "$t/etcd-all" --variant=extract --include=etcd-server,etcd-client,libc6
    mkdir -p "$t/etcd/usr/local/bin" "$t/etcd/lib64" "$t/etcd/lib/x86_64-linux-gnu" "$t/etcd/tmp"
    cp "$t"/etcd-all/usr/bin/{etcd,etcdctl} "$t/etcd/usr/local/bin/"
    cp -L "$t/etcd-all/lib64/ld-linux-x86-64.so.2" "$t/etcd/lib64/"
    for b in libc.so.6 libpthread.so.0 libresolv.so.2 libdl.so.2; do
        cp -L "$(find "$t/etcd-all" -name "$b" | head -1)" "$t/etcd/lib/x86_64-linux-gnu/"
    done
    chroot "$t/etcd" /usr/local/bin/etcd --version >/dev/null || die "Debian's etcd does not start in its tree"
    chroot "$t/etcd" /usr/local/bin/etcdctl version >/dev/null || die "Debian's etcdctl does not start in its tree"
    bootstrap "$t/busybox" --variant=extract --include=busybox-static
    mkdir -p "$t/agnhost/bin" "$t/agnhost/tmp"
    cp "$t/busybox/bin/busybox" "$t/agnhost/bin/busybox"
    chroot "$t/agnhost" /bin/busybox --install -s /bin
    rm -rf "$t/etcd-all" "$t/busybox" "$t"/proxy/var/{lib/apt,cache} "$t/proxy/usr/share"/{doc,man,locale}
    mark_done trees "$digest"
    say "trees ready in $((SECONDS - start)) s"
}
