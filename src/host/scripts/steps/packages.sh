# Installs the packages that are given as words with the host's package manager, and removes none.
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -qq -o DPkg::Lock::Timeout=60 -o Dpkg::Options::=--force-confold "$@" </dev/null 2>&1; }
# Another program (unattended-upgrades, apt-daily, an operator) may be at work with packages, for which this script waits up to five minutes.
end=$(($(date +%s) + 300 * ${CLUSTERCTL_PATIENCE:-1}))
# patiently COMMAND...: runs the command and leaves its output in $out. Repeats it while its output says that another program holds a lock of apt or
# dpkg. The option DPkg::Lock::Timeout does not cover the lock of the lists of packages.
patiently() {
  until out=$("$@"); do
    case $out in
      *'Could not get lock'*|*'Unable to lock'*|*'Unable to acquire the dpkg'*|*'lock was locked by'*|*'is locked by another process'*) ;;
      *) return 1 ;;
    esac
    [ "$(date +%s)" -lt $end ] || return 1
    sleep 2
    still_ours
  done
}
# Succeeds if no program holds the frontend lock of dpkg. /proc/locks has a line `ID: POSIX ADVISORY WRITE PID MAJOR:MINOR:INODE ...` for each lock.
frontend_is_free() {
  inode=$(stat -c %i /var/lib/dpkg/lock-frontend 2>/dev/null) || return 0
  holder_pid=$(awk -v end=":$inode" '$2 == "POSIX" && substr($6, length($6) - length(end) + 1) == end { print $5; exit }' /proc/locks 2>/dev/null)
  [ -z "$holder_pid" ]
}
# Debian starts the service of a package with an example configuration as soon as the package is installed: nginx serves a page on port 80, and its
# installation fails if that port is taken. So these units are masked while this script runs. If the script is killed, the masks stay until unit.sh
# removes them or the host reboots.
units=
for p in "$@"; do
  case $p in nginx|haproxy|keepalived) units="$units $p.service" ;; esac
done
allow() { [ -z "$units" ] || systemctl unmask -q --runtime $units 2>/dev/null; }
trap allow EXIT
[ -z "$units" ] || systemctl mask -q --runtime $units 2>/dev/null
# Packages that an interrupted installation left unconfigured make every later installation fail, so they are configured first. While another program
# installs packages, they look the same, so the script waits for its end before it looks.
comes $((end - $(date +%s))) frontend_is_free || {
  echo "process $holder_pid ($(cat "/proc/$holder_pid/comm" 2>/dev/null || echo unknown)) still works with the packages of this host (/var/lib/dpkg/lock-frontend); nothing was installed; run the same command again once it has ended" >&2
  exit 1
}
still_ours
configure() { dpkg --force-confold --configure -a </dev/null 2>&1; }
if [ -n "$(ls -A /var/lib/dpkg/updates 2>/dev/null)" ] || [ -n "$(dpkg --audit 2>/dev/null)" ]; then
  patiently configure || { echo "dpkg --configure -a: $out" >&2; exit 1; }
fi
# An installation that would remove a package is refused: for example, Debian's containerd would replace containerd.io and remove Docker with it.
simulated() { patiently apt -s install --no-install-recommends "$@"; }
if ! simulated "$@"; then
  # The usual cause of a failed simulation is an outdated list of packages.
  patiently apt update || { echo "apt-get update: $out" >&2; exit 1; }
  simulated "$@" || { echo "apt-get install $*: $out" >&2; exit 1; }
fi
removed=$(printf '%s\n' "$out" | sed -n 's/^Remv \([^ ]*\).*/\1/p' | tr '\n' ' ')
if [ -n "$removed" ]; then
  echo "apt-get install $* would remove these packages: ${removed% }; nothing was installed. Install what is missing by hand, or remove them yourself, then run the same command again" >&2
  exit 1
fi
still_ours
if ! patiently apt install -y --no-install-recommends --no-remove "$@"; then
  patiently apt update || { echo "apt-get update: $out" >&2; exit 1; }
  still_ours
  patiently apt install -y --no-install-recommends --no-remove "$@" || { echo "apt-get install $*: $out" >&2; exit 1; }
fi
