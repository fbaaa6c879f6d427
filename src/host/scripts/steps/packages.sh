# Installs the packages that are given as words with the host's package manager, and removes none.
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@" </dev/null 2>&1; }
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
# Packages that an interrupted installation left unconfigured make every later installation fail, so they are configured first.
if [ -n "$(ls -A /var/lib/dpkg/updates 2>/dev/null)" ] || [ -n "$(dpkg --audit 2>/dev/null)" ]; then
  out=$(dpkg --force-confold --configure -a </dev/null 2>&1) || { echo "dpkg --configure -a: $out" >&2; exit 1; }
fi
# An installation that would remove a package is refused: for example, Debian's containerd would replace containerd.io and remove Docker with it.
simulated() { out=$(apt -s install --no-install-recommends "$@"); }
if ! simulated "$@"; then
  # The usual cause of a failed simulation is an outdated list of packages.
  out=$(apt update) || { echo "apt-get update: $out" >&2; exit 1; }
  simulated "$@" || { echo "apt-get install $*: $out" >&2; exit 1; }
fi
removed=$(printf '%s\n' "$out" | sed -n 's/^Remv \([^ ]*\).*/\1/p' | tr '\n' ' ')
if [ -n "$removed" ]; then
  echo "apt-get install $* would remove these packages: ${removed% }; nothing was installed. Install what is missing by hand, or remove them yourself, then run the same command again" >&2
  exit 1
fi
if ! out=$(apt install -y --no-install-recommends --no-remove "$@"); then
  out=$(apt update) || { echo "apt-get update: $out" >&2; exit 1; }
  out=$(apt install -y --no-install-recommends --no-remove "$@") || { echo "apt-get install $*: $out" >&2; exit 1; }
fi
