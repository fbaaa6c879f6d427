# Describes one key of etcd through this host's own member; changes nothing. The value does not leave the host.
# Argument: `key`.
# Output: etcd's answer as JSON without the value; a line `size BYTES`; and a line `begins TEXT` with the beginning of the value up to its fourth or
# fifth colon if the value is encrypted (`k8s:enc:aescbc:v1:key1:`), or else with its first three bytes (`k8s` for Kubernetes' protobuf encoding).
export LC_ALL=C
umask 077
# The folder is in memory, because the value may be secret.
dir=$(mktemp -d /dev/shm/clusterctl.XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
own_member --command-timeout $((10 * ${CLUSTERCTL_PATIENCE:-1}))s get "$key" -w json >"$dir/answer" 2>"$dir/said" || { tail -n 3 "$dir/said" >&2; exit 1; }
sed 's/"value":"[^"]*"/"value":""/' "$dir/answer"
echo
sed -n 's/.*"value":"\([^"]*\)".*/\1/p' "$dir/answer" | base64 -d >"$dir/value"
echo "size $(stat -c %s "$dir/value")"
case $(head -c 8 "$dir/value" | tr -d '\0') in
  k8s:enc:) echo "begins $(head -c 100 "$dir/value" | tr -d '\0' | grep -aoE '^k8s:enc:[a-z]+:v[0-9]+:[A-Za-z0-9._-]*:' | head -n 1)" ;;
  *) echo "begins $(head -c 3 "$dir/value" | tr -dc '[:print:]')" ;;
esac
