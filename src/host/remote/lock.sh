# Holds this host's lock for as long as its input stays open and ticks. $1: run id. $2: who. $3: `again` by a run whose connection broke
# or whose host was rebooted: then only if nobody has had it meanwhile.
# Prints `locked PREVIOUS_RUN`, `held HOLDER...`, or `gone` where the lock is to be held again and this run has since removed it with all
# that was ours. A holder that stops ticking for 30 s ends itself.
set -eu
export LC_ALL=C
run=$1 who=$2 again=${3:-}
dir=/var/lib/clusterctl
if [ "$again" = again ] && [ ! -e $dir ]; then
  echo gone
  exit
fi
mkdir -p -m 0700 $dir
exec 9>>$dir/lock.flock
tries=0
holder() { holder=; [ -r $dir/lock ] && read -r holder _ <$dir/lock || :; }
until flock -n 9; do
  holder
  # The process of a connection that broke ends itself after 30 s.
  if [ "$again" = again ] && [ "$holder" = "$run" ] && [ $tries -lt 160 ]; then
    tries=$((tries + 1))
    sleep 0.25
    continue
  fi
  # An unlocked-but-stale holder ends itself within 5 s of its deadline; otherwise somebody is at work.
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
# A reset ends with the removal of the lock itself: a tick must not bring it back.
while read -r _; do touch -c $dir/lock; done
