# Head of every script that changes a host. $1: the run's id.
# A run that lost its lock (it slept, another took over) must not write any more.
set -eu
export LC_ALL=C
run=$1
shift
holder=
[ -r /var/lib/clusterctl/lock ] && read -r holder _ </var/lib/clusterctl/lock || :
if [ "$holder" != "$run" ]; then
  echo "the lock of this host now belongs to run '$holder'; this run ($run) stops here" >&2
  exit 75
fi
