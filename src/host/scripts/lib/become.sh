# Runs a command, as root if asked.
# Arguments: $1 is the way to become root. `plain` runs the command as the log-in user, `none` fails unless that user is root, `auto` uses sudo
# without a password, and `password` lets sudo read a password from standard input. $2 is the text of start.sh. $3 is the prompt of sudo. $4 is
# `proxies` to keep the proxy variables of the host's environment, or `direct` to remove them. The other arguments are the command.
mode=$1; start=$2; prompt=$3; network=$4; shift 4
LC_ALL=C; export LC_ALL
if [ "$mode" = plain ] || [ "$(id -u)" = 0 ]; then
  [ "$network" = proxies ] || unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY
  printf '\036clusterctl\036'; printf '\036clusterctl\036' >&2
  exec "$@"
fi
if [ "$mode" = none ]; then echo 'clusterctl: not root' >&2; exit 126; fi
command -v sudo >/dev/null 2>&1 || { echo 'clusterctl: no sudo' >&2; exit 127; }
# Standard error after this line comes from sudo. A log-in shell that does not run this script, such as nologin, never prints the line, so its message
# is not taken for a message of sudo.
printf '\nclusterctl: sudo\n' >&2
# sudo may set the proxy variables (pam_env), so start.sh, which sudo runs, removes them.
if [ "$mode" = auto ]; then exec sudo -n -u root -- /bin/sh -c "$start" clusterctl "$network" "$@"; fi
exec sudo -k -S -p "$prompt" -u root -- /bin/sh -c "$start" clusterctl "$network" "$@"
