# Head of scripts that ask this host's API server with curl, as the cluster's admin.
# $1: the address of the API server. Sets $address, $conf (the path of a kubeconfig) and $dir, a folder that holds the files ca, cert and key.
# Status 3: this host has no admin's kubeconfig. Status 4: the folder cannot be made.
export LC_ALL=C
umask 077
address=$1
# From Kubernetes 1.29 on, admin.conf has no rights until its group is bound to a role.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
[ -r $conf ] || exit 3
# The folder is in memory, only root can read it, and it is removed when the script ends.
dir=$(mktemp -d /dev/shm/clusterctl.XXXXXX) || exit 4
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
field() { sed -n "s/^ *$1: *//p" $conf | head -n 1 | tr -d "\"'" | base64 -d; }
field certificate-authority-data >"$dir/ca"
field client-certificate-data >"$dir/cert"
field client-key-data >"$dir/key"
