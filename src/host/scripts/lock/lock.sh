# Holds the lock of this host as long as the run sends a line (a tick) on its input every few seconds.
# Arguments: `run` is the ID of the run, and `who` the user and machine that run it. `attempt` is `first`, or `again` for a run whose connection broke
# or whose host was rebooted: such a run gets the lock only if no other run has held the lock since.
# Output: `locked PREVIOUS_RUN`; or `held HOLDER...` if another run has the lock; or `gone` if `attempt` is `again` and this run has removed all files
# of clusterctl, and the lock with them, from the host. The script exits if no tick arrives for 30 s. The first tick is sent at once. If it does not
# arrive, the sender has died, and nothing is changed.
set -eu
export LC_ALL=C
dir=$STATE_DIR
if [ "$attempt" = again ] && [ ! -e $dir ]; then
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
  # The process that holds the lock for the broken connection exits after 30 s without a tick, so the script retries for 40 s.
  if [ "$attempt" = again ] && [ "$holder" = "$run" ] && [ $tries -lt 160 ]; then
    tries=$((tries + 1))
    sleep 0.25
    continue
  fi
  # A process that gets no ticks exits at most 35 s after its last one. So if the last tick is older than 30 s, the script retries for 10 s before it
  # reports `held`.
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
if [ "$attempt" = again ] && [ "$previous" != "$run" ]; then
  echo "held $(cat $dir/lock 2>/dev/null)"
  exit 7
fi
printf '%s %s\n' "$run" "$who since $(date -u +%Y-%m-%dT%H:%M:%SZ)" >$dir/.lock.new
mv -f $dir/.lock.new $dir/lock
# A snapshot of etcd that a killed script left behind contains every Secret of the cluster. It is removed, and a run that needs a snapshot takes a
# new one.
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
# `clusterctl reset` removes the lock file at its end, and a tick that arrives later must not create the file again (-c).
while read -r _; do touch -c $dir/lock; done
