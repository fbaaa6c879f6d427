# servers.sh: builds the plain host image, the hosts' apt repository and the site image. Sourced by `lab`.
# shellcheck shell=bash

HOST_PACKAGES=systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,iptables,kmod,curl,ca-certificates,procps
REPO_PACKAGES="containerd runc containernetworking-plugins conntrack socat ethtool ebtables iptables haproxy nginx-light
    libnginx-mod-stream keepalived curl openssl etcd-server etcd-client ipvsadm ipset docker.io"

# bootstrap SUITE OUTPUT ARG...: runs mmdebstrap with this machine's own Debian sources. In the mode `unshare`, every mount is made in a mount
# namespace that ends with the command; the mode `root` has left a sysfs mounted over this machine's /sys.
bootstrap() {
    local suite=$1 out=$2; shift 2
    need mmdebstrap
    private_apt
    sed "s/^Types:.*/Types: deb/; s/bookworm/$suite/g" "$LAB/apt/debian.sources" >"$LAB/apt/binary-only-$suite"
    nice mmdebstrap --quiet --mode=unshare --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' "$@" "$suite" "$out" - <"$LAB/apt/binary-only-$suite"
}

# suite_of KIND: prints the Debian suite of a kind of host
suite_of() {
    case $1 in
        debian12) echo bookworm ;;
        debian13) echo trixie ;;
        *) die "unknown kind of host: $1 (debian12 or debian13)" ;;
    esac
}

lab_keys() {
    need openssh-client openssl
    mkdir -p "$LAB/ssh"
    [ -s "$SSH_KEY" ] || ssh-keygen -q -t ed25519 -N '' -C clusterctl-lab -f "$SSH_KEY"
    [ -s "$LAB/ssh/opspw.password" ] || (umask 077; openssl rand -hex 12 >"$LAB/ssh/opspw.password")
    chmod 0600 "$SSH_KEY" "$LAB/ssh/opspw.password"
}

# build_host KIND: builds the image of a plain host, and a flat apt repository with every .deb that such a host lacks
build_host() {
    local kind=$1 digest suite work repo hash start=$SECONDS site
    suite=$(suite_of "$kind") || exit
    work=$LAB/work/host-$kind repo=$LAB/work/apt-$kind site=$SITE/apt-$kind
    digest=$(inputs servers.sh Dockerfile.host host/setup host/lab-init)
    done_with "host-$kind" "$digest" && docker image inspect "$HOST_IMAGE:$kind" >/dev/null 2>&1 && return
    say "bootstrapping the image of $kind hosts and their apt repository"
    need apt-utils
    rm -rf "$work" "$repo"; mkdir -p "$work" "$repo"
    hash=$(openssl passwd -6 -stdin <"$LAB/ssh/opspw.password")
    # shellcheck disable=SC2016
    PUBLIC_KEY=$(cat "$SSH_KEY.pub") OPSPW_HASH=$hash REPO_PACKAGES=${REPO_PACKAGES//$'\n'/ } \
        bootstrap "$suite" "$work/host.tar" --variant=minbase --include="$HOST_PACKAGES" \
        --customize-hook='chroot "$1" apt-get -qq clean' \
        --customize-hook='chroot "$1" apt-get -qq install -y --no-install-recommends --download-only $REPO_PACKAGES >/dev/null' \
        --customize-hook="sync-out /var/cache/apt/archives $repo" \
        --customize-hook="$LAB_SRC/host/setup"' "$1"'
    rm -rf "$repo/partial" "$repo/lock"
    (cd "$repo" && apt-ftparchive packages . >Packages && gzip -9kf Packages && apt-ftparchive release . >Release)
    cp "$LAB_SRC/host/lab-init" "$LAB_SRC/Dockerfile.host" "$work/"
    docker_build "$HOST_IMAGE:$kind" Dockerfile.host "$work"
    # While the web server of the lab serves a package repository, the new repository is built beside the old one, and replaces it only when it is
    # complete, so that no host sees half a repository.
    rm -rf "$site.old"
    [ ! -e "$site" ] || mv "$site" "$site.old"
    mv "$repo" "$site"
    rm -rf "$site.old" "$work/host.tar"
    mark_done "host-$kind" "$digest"
    say "image of $kind hosts and apt repository ready in $((SECONDS - start)) s ($(find "$site" -name '*.deb' | wc -l) packages)"
}

# docker_build IMAGE DOCKERFILE FOLDER: builds an image; prints the log of a build that fails
docker_build() {
    DOCKER_BUILDKIT=0 docker build -q -t "$1" --label "$LABEL" -f "$3/$2" "$3" >/dev/null 2>"$3/build.log" ||
        { cat "$3/build.log" >&2; die "docker build of $1 failed"; }
}

build_site() {
    local digest work=$LAB/work/site start=$SECONDS
    digest=$(inputs servers.sh Dockerfile.site site/run site/nginx.conf site/registry.yml)
    done_with site "$digest" && docker image inspect "$SITE_IMAGE" >/dev/null 2>&1 && return
    say "bootstrapping the site image"
    rm -rf "$work"; mkdir -p "$work"
    bootstrap bookworm "$work/site.tar" --variant=minbase --include=nginx-light,docker-registry,iproute2
    cp "$LAB_SRC"/site/{run,nginx.conf,registry.yml} "$LAB_SRC/Dockerfile.site" "$work/"
    docker_build "$SITE_IMAGE" Dockerfile.site "$work"
    rm -f "$work/site.tar"
    mark_done site "$digest"
    say "site image ready in $((SECONDS - start)) s"
}
