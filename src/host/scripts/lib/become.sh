# Runs a command, as root if asked.
# Arguments: `mode` is the way to become root. `plain` runs the command as the log-in user, `none` fails unless that user is root, `auto` uses sudo
# without a password, and `password` lets sudo read a password from standard input. `start` is the text of start.sh, and `prompt` the prompt of sudo.
# `network` is `proxies` to keep the proxy variables of the host's environment, or `direct` to remove them. The words are the command.
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
if [ "$mode" = auto ]; then exec sudo -n -u root -- /bin/sh -c "$start" clusterctl "network=$network" -- "$@"; fi
exec sudo -k -S -p "$prompt" -u root -- /bin/sh -c "$start" clusterctl "network=$network" -- "$@"
