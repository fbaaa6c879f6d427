# Installs the packages given as arguments with the host's package manager.
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@" </dev/null 2>&1; }
# A package of Debian starts its service with an example configuration as soon as it is installed: nginx serves a page on port 80, or
# breaks the installation where it cannot. Until a reboot at the most, and until the unit's own step, they may not start.
units=
for p in "$@"; do
  case $p in nginx|haproxy|keepalived) units="$units $p.service" ;; esac
done
allow() { [ -z "$units" ] || systemctl unmask -q --runtime $units 2>/dev/null; }
trap allow EXIT
[ -z "$units" ] || systemctl mask -q --runtime $units 2>/dev/null
if ! out=$(apt install -y --no-install-recommends "$@"); then
  # Old lists are the usual reason.
  out=$(apt update) || { echo "apt-get update: $out" >&2; exit 1; }
  out=$(apt install -y --no-install-recommends "$@") || { echo "apt-get install $*: $out" >&2; exit 1; }
fi
