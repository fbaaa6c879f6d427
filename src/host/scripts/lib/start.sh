# Starts a command as root; sudo runs this script. A marker on both outputs shows where the output of the command begins.
# Arguments: `network` is `proxies` to keep the proxy variables of the environment, or `direct` to remove them. The words are the command.
[ "$(id -u)" = 0 ] || { echo 'clusterctl: not root' >&2; exit 126; }
[ "$network" = proxies ] || unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY
LC_ALL=C; export LC_ALL
printf '\036clusterctl\036'; printf '\036clusterctl\036' >&2
exec "$@"
