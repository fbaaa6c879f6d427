# Runs a command, as root if asked. $1: plain, none, auto or password; $2: start.sh; $3: sudo's prompt; then the command.
mode=$1; start=$2; prompt=$3; shift 3
LC_ALL=C; export LC_ALL
if [ "$mode" = plain ] || [ "$(id -u)" = 0 ]; then
  printf '\036clusterctl\036'; printf '\036clusterctl\036' >&2
  exec "$@"
fi
if [ "$mode" = none ]; then echo 'clusterctl: not root' >&2; exit 126; fi
command -v sudo >/dev/null 2>&1 || { echo 'clusterctl: no sudo' >&2; exit 127; }
if [ "$mode" = auto ]; then exec sudo -n -u root -- /bin/sh -c "$start" clusterctl "$@"; fi
exec sudo -k -S -p "$prompt" -u root -- /bin/sh -c "$start" clusterctl "$@"
