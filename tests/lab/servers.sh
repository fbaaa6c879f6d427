# servers.sh: builds the plain host image, the hosts' apt repository and the site image. Sourced by `lab`.
# shellcheck shell=bash

HOST_PACKAGES=systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,iptables,kmod,curl,ca-certificates,procps
REPO_PACKAGES="containerd runc containernetworking-plugins conntrack socat ethtool ebtables iptables haproxy nginx-light
    libnginx-mod-stream keepalived curl openssl etcd-server etcd-client ipvsadm ipset"

# bootstrap OUTPUT ARG...: mmdebstrap from this machine's own Debian sources
bootstrap() {
    local out=$1; shift
    need mmdebstrap
    private_apt
    sed 's/^Types:.*/Types: deb/' "$LAB/apt/debian.sources" >"$LAB/apt/binary-only"
    nice mmdebstrap --quiet --mode=root --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' "$@" bookworm "$out" - <"$LAB/apt/binary-only"
}

lab_keys() {
    need openssh-client openssl
    mkdir -p "$LAB/ssh"
    [ -s "$SSH_KEY" ] || ssh-keygen -q -t ed25519 -N '' -C clusterctl-lab -f "$SSH_KEY"
    [ -s "$LAB/ssh/opspw.password" ] || (umask 077; openssl rand -hex 12 >"$LAB/ssh/opspw.password")
    chmod 0600 "$SSH_KEY" "$LAB/ssh/opspw.password"
}

# the plain host, and beside it every .deb that such a host lacks, as a flat apt repository
build_host() {
    local digest work=$LAB/work/host repo=$LAB/work/apt hash start=$SECONDS
    digest=$(inputs servers.sh Dockerfile.host host/setup host/lab-init)
    done_with host "$digest" && docker image inspect "$HOST_IMAGE" >/dev/null 2>&1 && return
    say "bootstrapping the host image and the apt repository"
    need apt-utils
    rm -rf "$work" "$repo"; mkdir -p "$work" "$repo"
    hash=$(openssl passwd -6 -stdin <"$LAB/ssh/opspw.password")
    # shellcheck disable=SC2016
    PUBLIC_KEY=$(cat "$SSH_KEY.pub") OPSPW_HASH=$hash REPO_PACKAGES=${REPO_PACKAGES//$'\n'/ } \
        bootstrap "$work/host.tar" --variant=minbase --include="$HOST_PACKAGES" \
        --customize-hook='chroot "$1" apt-get -qq clean' \
        --customize-hook='chroot "$1" apt-get -qq install -y --no-install-recommends --download-only $REPO_PACKAGES >/dev/null' \
        --customize-hook="sync-out /var/cache/apt/archives $repo" \
        --customize-hook="$LAB_SRC/host/setup"' "$1"'
    rm -rf "$repo/partial" "$repo/lock"
    (cd "$repo" && apt-ftparchive packages . >Packages && gzip -9kf Packages && apt-ftparchive release . >Release)
    cp "$LAB_SRC/host/lab-init" "$LAB_SRC/Dockerfile.host" "$work/"
    DOCKER_BUILDKIT=0 docker build -q -t "$HOST_IMAGE" --label "$LABEL" -f "$work/Dockerfile.host" "$work" >/dev/null 2>"$work/build.log" ||
        { cat "$work/build.log" >&2; die "docker build of $HOST_IMAGE failed"; }
    # a site that is being served keeps its old repository until the new one is whole
    rm -rf "$SITE/apt.old"
    [ ! -e "$SITE/apt" ] || mv "$SITE/apt" "$SITE/apt.old"
    mv "$repo" "$SITE/apt"
    rm -rf "$SITE/apt.old" "$work/host.tar"
    mark_done host "$digest"
    say "host image and apt repository ready in $((SECONDS - start)) s ($(find "$SITE/apt" -name '*.deb' | wc -l) packages)"
}

build_site() {
    local digest work=$LAB/work/site start=$SECONDS
    digest=$(inputs servers.sh Dockerfile.site site/run site/nginx.conf site/registry.yml)
    done_with site "$digest" && docker image inspect "$SITE_IMAGE" >/dev/null 2>&1 && return
    say "bootstrapping the site image"
    rm -rf "$work"; mkdir -p "$work"
    bootstrap "$work/site.tar" --variant=minbase --include=nginx-light,docker-registry,iproute2
    cp "$LAB_SRC"/site/{run,nginx.conf,registry.yml} "$LAB_SRC/Dockerfile.site" "$work/"
    DOCKER_BUILDKIT=0 docker build -q -t "$SITE_IMAGE" --label "$LABEL" -f "$work/Dockerfile.site" "$work" >/dev/null 2>"$work/build.log" ||
        { cat "$work/build.log" >&2; die "docker build of $SITE_IMAGE failed"; }
    rm -f "$work/site.tar"
    mark_done site "$digest"
    say "site image ready in $((SECONDS - start)) s"
}
