# Runs a command, as root if asked.
# $1: plain, none, auto or password. $2: the text of start.sh. $3: the prompt of sudo. $4: `proxies` keeps the proxy variables of the host's
# environment, `direct` removes them. The other arguments are the command.
mode=$1; start=$2; prompt=$3; network=$4; shift 4
LC_ALL=C; export LC_ALL
if [ "$mode" = plain ] || [ "$(id -u)" = 0 ]; then
  [ "$network" = proxies ] || unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY
  printf '\036clusterctl\036'; printf '\036clusterctl\036' >&2
  exec "$@"
fi
if [ "$mode" = none ]; then echo 'clusterctl: not root' >&2; exit 126; fi
command -v sudo >/dev/null 2>&1 || { echo 'clusterctl: no sudo' >&2; exit 127; }
# Output after this line comes from sudo. A log-in shell that does not run this script, such as nologin, prints its message without this line.
printf '\nclusterctl: sudo\n' >&2
# sudo may set the variables again (pam_env), so start.sh removes them a second time.
if [ "$mode" = auto ]; then exec sudo -n -u root -- /bin/sh -c "$start" clusterctl "$network" "$@"; fi
exec sudo -k -S -p "$prompt" -u root -- /bin/sh -c "$start" clusterctl "$network" "$@"
