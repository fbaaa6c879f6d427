# Head of scripts that run etcdctl, which reads the paths of its certificates from these variables. Certificates in variables and not in flags allow a
# script to set others for a single command: etcdctl refuses a flag whose variable is also set. ETCDCTL_API is not set: API version 3 is the default
# since etcd 3.4, and etcdctl 3.6 prints a warning if the variable is set.
export ETCDCTL_CACERT=$ETCD_PKI_DIR/ca.crt ETCDCTL_CERT=$ETCD_PKI_DIR/healthcheck-client.crt ETCDCTL_KEY=$ETCD_PKI_DIR/healthcheck-client.key
# own_member WORD...: runs etcdctl, which asks this host's own etcd member.
own_member() { $ETCDCTL --endpoints "https://127.0.0.1:$ETCD_CLIENT_PORT" --dial-timeout 2s "$@"; }
# number KEY JSON: prints the number that the key has in the JSON text, which is the status of one member; nothing if there is none.
number() { printf '%s\n' "$2" | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
