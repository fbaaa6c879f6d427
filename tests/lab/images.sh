# images.sh: pushes the container images of one Kubernetes version into the site's registry and fills its download directory. Sourced by `lab`.
# shellcheck shell=bash

IMAGE_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# push_registry: starts a temporary registry over the site's store, on the loopback only, to which images are pushed
push_registry() {
    local name=$NET-push
    docker rm -f "$name" >/dev/null 2>&1 || true
    docker run -d --rm --name "$name" --label "$LABEL" -p 127.0.0.1::5000 -v "$LAB/registry:/srv/registry" "$SITE_IMAGE" >/dev/null
    PUSH=$(docker port "$name" 5000/tcp | head -1)
    wait_for 30 "the push registry answers" curl -fs "http://$PUSH/v2/"
}
push_registry_stop() { docker rm -f "$NET-push" >/dev/null; }

# put_blob NAME FILE: uploads a file as a blob of the repository NAME; prints its digest and size
put_blob() {
    local digest at
    digest=sha256:$(sha256sum "$2" | cut -d' ' -f1)
    at=$(curl -fsS -o /dev/null -D - -X POST "http://$PUSH/v2/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -fsS -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' -T "$2" "$at&digest=$digest"
    printf '%s %s\n' "$digest" "$(stat -c %s "$2")"
}

# push NAME:TAG ENTRYPOINT-JSON TAR-ARGUMENT...: makes an OCI image with one layer from files and pushes it. The layer is not compressed, because
# five hosts on two processors then unpack it much sooner.
push() {
    local name=${1%:*} tag=${1##*:} entry=$2 tmp layer config types=application/vnd.oci.image; shift 2
    tmp=$(mktemp -d "$LAB/work/push.XXXXXX")
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$tmp/layer" "$@"
    read -r -a layer <<<"$(put_blob "$name" "$tmp/layer")"
    printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=%s"],"Entrypoint":%s},"rootfs":{"type":"layers","diff_ids":["%s"]}}' \
        "$IMAGE_PATH" "$entry" "${layer[0]}" >"$tmp/config"
    read -r -a config <<<"$(put_blob "$name" "$tmp/config")"
    printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"%s","size":%d},"layers":[{"mediaType":"%s","digest":"%s","size":%d}]}' \
        "$types.manifest.v1+json" "$types.config.v1+json" "${config[@]}" "$types.layer.v1.tar" "${layer[@]}" >"$tmp/manifest"
    curl -fsS -o /dev/null -X PUT -H "Content-Type: $types.manifest.v1+json" -T "$tmp/manifest" "http://$PUSH/v2/$name/manifests/$tag"
    rm -rf "$tmp"
}

# site_binaries VERSION FOLDER: puts the programs of one version on the download site, each with a file that holds its SHA-256 in hexadecimal
site_binaries() {
    local dir=$SITE/release/$1/bin/linux/amd64 from=$2 b
    mkdir -p "$dir"
    for b in kubelet kubectl kubeadm; do
        ln -f "$from/$b" "$dir/$b" 2>/dev/null || cp -f "$from/$b" "$dir/$b"
        sha256sum "$dir/$b" | cut -d' ' -f1 | tr -d '\n' >"$dir/$b.sha256"
    done
}

# site_release VERSION: puts one version of the release on the download site, and its images into the registry. The first version includes what both
# versions use.
site_release() {
    local version=$1 bin=$RELEASE_FOLDER/$1 b start=$SECONDS digest agnhost
    digest=$(inputs images.sh trees.sh)-$(cat "$LAB/.done/etcd-tree")-$(identity "$bin"/* "$RELEASE_FOLDER"/*)-$PAUSE_TAG-$PAUSE_NEXT
    done_with "release-$version" "$digest" && return
    site_binaries "$version" "$bin"
    say "pushing the images of $version"
    push_registry
    for b in kube-apiserver kube-controller-manager kube-scheduler; do
        push "$b:$version" null -C "$bin" --transform 's,^,usr/local/bin/,' "$b"
    done
    push "kube-proxy:$version" null -C "$TREES/proxy" . -C "$bin" --transform 's,^kube-proxy$,usr/local/bin/kube-proxy,' kube-proxy
    if [ "$version" = "$VERSION" ]; then
        agnhost=$(agnhost_program) || exit
        push "pause:$PAUSE_TAG" '["/pause"]' -C "$RELEASE_FOLDER" pause
        push "etcd:$ETCD_TAG" null -C "$TREES/etcd" .
        push "agnhost:$AGNHOST_TAG" '["/agnhost"]' -C "$TREES/agnhost" . -C "${agnhost%/*}" agnhost
        [ -z "$COREDNS_TAG" ] || push "coredns:$COREDNS_TAG" '["/coredns"]' -C "$TREES/libc" . -C "$RELEASE_FOLDER" coredns
    else
        push "pause:$PAUSE_NEXT" '["/pause"]' -C "$RELEASE_FOLDER" pause
        push "etcd:$ETCD_NEXT" null -C "$TREES/etcd" . -C "$LAB_SRC" --transform 's,^lib.sh$,another-image,' lib.sh
    fi
    push_registry_stop
    mark_done "release-$version" "$digest"
    say "release $version on the site in $((SECONDS - start)) s"
}

# site_offers: writes the files that `upgrade plan` reads: the newest patch version of each minor version
site_offers() {
    local version
    rm -f "$SITE"/release/stable-*.txt
    for version in "$VERSION" "$NEXT"; do printf '%s\n' "$version" >"$SITE/release/stable-1.$(minor_of "$version").txt"; done
}
