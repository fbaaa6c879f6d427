# What sudo runs: says on both outputs that the command starts here, as root, then becomes it.
[ "$(id -u)" = 0 ] || { echo 'clusterctl: not root' >&2; exit 126; }
LC_ALL=C; export LC_ALL
printf '\036clusterctl\036'; printf '\036clusterctl\036' >&2
exec "$@"
