# node.sh: prepares a plain lab host for kubeadm: packages, containerd, binaries, kubelet unit. Runs on the host as root.
# Arguments: VERSION PAUSE-TAG SITE-ADDRESS REGISTRY
# shellcheck shell=bash
set -euo pipefail
version=$1 pause=$2 site=$3 registry=$4

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends containerd runc containernetworking-plugins conntrack socat ethtool ebtables >/dev/null

mkdir -p /etc/containerd /opt/cni
ln -sfn /usr/lib/cni /opt/cni/bin
cat >/etc/containerd/config.toml <<END
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$registry/pause:$pause"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."$registry"]
    endpoint = ["http://$registry"]
END
systemctl restart containerd

for b in kubelet kubectl kubeadm; do
    url=http://$site/release/$version/bin/linux/amd64/$b
    if ! printf '%s  %s\n' "$(curl -fsS "$url.sha256")" "/usr/local/bin/$b" | sha256sum --status -c 2>/dev/null; then
        curl -fsS -o "/usr/local/bin/$b.new" "$url"
        printf '%s  %s\n' "$(curl -fsS "$url.sha256")" "/usr/local/bin/$b.new" | sha256sum --quiet -c
        chmod 0755 "/usr/local/bin/$b.new"
        mv "/usr/local/bin/$b.new" "/usr/local/bin/$b"
    fi
done

mkdir -p /etc/systemd/system/kubelet.service.d
cat >/etc/systemd/system/kubelet.service <<'END'
[Unit]
Description=kubelet
After=containerd.service
[Service]
ExecStart=/usr/local/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=1
[Install]
WantedBy=multi-user.target
END
cat >/etc/systemd/system/kubelet.service.d/10-kubeadm.conf <<'END'
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=
ExecStart=/usr/local/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS
END
sysctl -qw net.ipv4.ip_forward=1
systemctl daemon-reload
systemctl -q enable kubelet
