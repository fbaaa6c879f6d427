# stage.sh: puts the next release's programs into /opt/next, and a replacement of crictl, which Debian does not have. Runs on the host as root.
# Arguments: VERSION SITE-ADDRESS
# shellcheck shell=bash
set -euo pipefail
version=$1 site=$2

mkdir -p /opt/next
for b in kubelet kubectl kubeadm; do
    url=http://$site/release/$version/bin/linux/amd64/$b
    curl -fsS -o "/opt/next/$b" "$url"
    printf '%s  %s\n' "$(curl -fsS "$url.sha256")" "/opt/next/$b" | sha256sum --quiet -c
    chmod 0755 "/opt/next/$b"
done

# Before an upgrade, kubeadm asks crictl only which images exist, and pulls none of those.
cat >/usr/local/bin/crictl <<'SH'
#!/bin/sh
[ "$1" != -r ] || shift 2
case $1 in
    info) echo '{}' ;;
    inspecti) ctr -n k8s.io images ls -q | grep -qxF "$2" ;;
    *) echo "this crictl only knows info and inspecti" >&2; exit 1 ;;
esac
SH
chmod 0755 /usr/local/bin/crictl
