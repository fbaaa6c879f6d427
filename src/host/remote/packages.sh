# Installs the packages given as arguments with the host's package manager.
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@" </dev/null 2>&1; }
if ! out=$(apt install -y --no-install-recommends "$@"); then
  # Old lists are the usual reason.
  out=$(apt update) || { echo "apt-get update: $out" >&2; exit 1; }
  out=$(apt install -y --no-install-recommends "$@") || { echo "apt-get install $*: $out" >&2; exit 1; }
fi
