# Holds the lock of this host as long as the run sends a line (a tick) on its input every few seconds. $1: ID of the run. $2: who runs it. $3: `again`
# for a run whose connection broke or whose host was rebooted: such a run gets the lock only if no other run has held it since.
# Prints `locked PREVIOUS_RUN`; `held HOLDER...`; or `gone` if the lock is asked for again and this run has removed it since with everything else
# of clusterctl. This process ends itself if no tick arrives for 30 s. The first tick comes at once: without it no run wants the lock, and nothing
# is changed.
set -eu
export LC_ALL=C
run=$1 who=$2 again=${3:-}
dir=/var/lib/clusterctl
if [ "$again" = again ] && [ ! -e $dir ]; then
  echo gone
  exit
fi
read -r _ || { echo "the input ended before the first tick; the lock was not taken" >&2; exit 1; }
mkdir -p -m 0700 $dir
exec 9>>$dir/lock.flock
tries=0
holder() { holder=; [ -r $dir/lock ] && read -r holder _ <$dir/lock || :; }
until flock -n 9; do
  holder
  # The process that held the lock for the broken connection ends itself after 30 s.
  if [ "$again" = again ] && [ "$holder" = "$run" ] && [ $tries -lt 160 ]; then
    tries=$((tries + 1))
    sleep 0.25
    continue
  fi
  # A holder that gets no ticks any more ends itself within 5 s of its deadline; a holder that lives longer is at work.
  age=$(($(date +%s) - $(stat -c %Y $dir/lock 2>/dev/null || echo 0)))
  if [ $age -lt 30 ] || [ $tries -gt 40 ]; then
    echo "held $(cat $dir/lock 2>/dev/null) age ${age}s"
    exit 7
  fi
  tries=$((tries + 1))
  sleep 0.25
done
holder
previous=$holder
if [ "$again" = again ] && [ "$previous" != "$run" ]; then
  echo "held $(cat $dir/lock 2>/dev/null)"
  exit 7
fi
printf '%s %s\n' "$run" "$who since $(date -u +%Y-%m-%dT%H:%M:%SZ)" >$dir/.lock.new
mv -f $dir/.lock.new $dir/lock
# A snapshot of etcd that a killed script left behind holds every Secret of the cluster. It is removed: a run that needs a snapshot takes a new one.
rm -rf $dir/snapshot.*
echo "locked $previous"
main=$$
(
  exec 9>&- <&-
  while sleep 5; do
    [ -e $dir/lock ] || exit
    [ $(($(date +%s) - $(stat -c %Y $dir/lock))) -gt 30 ] && kill $main 2>/dev/null && exit
    kill -0 $main 2>/dev/null || exit
  done
) >/dev/null 2>&1 &
watch=$!
trap 'kill $watch 2>/dev/null' EXIT
# `reset` removes the lock itself in the end, and a late tick must not create it again.
while read -r _; do touch -c $dir/lock; done
