# Head of scripts that ask this host's API server with curl, as the cluster's admin. $1: its address. Leaves $address, $conf (a kubeconfig)
# and $dir, with ca, cert and key in it.
export LC_ALL=C
umask 077
address=$1
# Until its group is bound, from 1.29 on, admin.conf may do nothing.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
[ -r $conf ] || exit 3
# In memory, for root alone, and gone at the end.
dir=$(mktemp -d /dev/shm/clusterctl.XXXXXX) || exit 4
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
field() { sed -n "s/^ *$1: *//p" $conf | head -n 1 | tr -d "\"'" | base64 -d; }
field certificate-authority-data >"$dir/ca"
field client-certificate-data >"$dir/cert"
field client-key-data >"$dir/key"
