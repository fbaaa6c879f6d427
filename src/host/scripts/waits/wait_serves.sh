# Waits until this host's etcd member and its API server serve with certificates that are valid.
# Arguments, see also serving.sh: `limit` in seconds.
end=$(($(date +%s) + limit))
said=
# The certificate of the API server is verified, because a server that has not read its new certificate yet serves with the expired one.
until member && served -sS --cacert $PKI_DIR/ca.crt; do
  [ "$(date +%s)" -lt $end ] || {
    echo "it does not serve with its new certificates after $limit s: $said" >&2
    systemctl is-active -q kubelet || [ -z "$api" ] || echo "the kubelet is not running" >&2
    for c in ${etcd:+etcd} ${api:+kube-apiserver}; do
      lines=$(last_lines $c)
      [ -z "$lines" ] || printf '%s\n' "last lines of $c:" "$lines" >&2
    done
    exit 1
  }
  sleep 0.3
done
