# Head of scripts that ask this host's API server with curl, as the cluster's admin.
# Argument: `address` of the API server. Sets $conf (the path of the admin's kubeconfig) and $dir, a folder with the files ca, cert and key from that
# kubeconfig. Exit status 3 means that this host has no such kubeconfig, and 4 that the folder cannot be made.
export LC_ALL=C
umask 077
# From Kubernetes 1.29 on, admin.conf has no rights until its group is bound to a role, so super-admin.conf is used if it exists.
conf=$SUPER_ADMIN_CONF
[ -r $conf ] || conf=$ADMIN_CONF
[ -r $conf ] || exit 3
# The folder $dir is in memory, only root can read it, and it is removed when the script exits.
dir=$(mktemp -d /dev/shm/clusterctl.XXXXXX) || exit 4
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
field() { sed -n "s/^ *$1: *//p" $conf | head -n 1 | tr -d "\"'" | base64 -d; }
field certificate-authority-data >"$dir/ca"
field client-certificate-data >"$dir/cert"
field client-key-data >"$dir/key"
