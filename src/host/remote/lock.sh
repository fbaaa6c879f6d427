# Holds this host's lock for as long as its input stays open and ticks. $1: run id. $2: who.
# Prints `locked PREVIOUS_RUN` or `held HOLDER...`. A holder that stops ticking for 30 s ends itself.
set -eu
export LC_ALL=C
run=$1 who=$2
dir=/var/lib/clusterctl
mkdir -p -m 0700 $dir
exec 9>>$dir/lock.flock
tries=0
until flock -n 9; do
  # An unlocked-but-stale holder ends itself within 5 s of its deadline; otherwise somebody is at work.
  age=$(($(date +%s) - $(stat -c %Y $dir/lock 2>/dev/null || echo 0)))
  if [ $age -lt 30 ] || [ $tries -gt 40 ]; then
    echo "held $(cat $dir/lock 2>/dev/null) age ${age}s"
    exit 7
  fi
  tries=$((tries + 1))
  sleep 0.25
done
previous=
[ -r $dir/lock ] && read -r previous _ <$dir/lock || :
printf '%s %s\n' "$run" "$who since $(date -u +%Y-%m-%dT%H:%M:%SZ)" >$dir/.lock.new
mv -f $dir/.lock.new $dir/lock
echo "locked $previous"
main=$$
(
  exec 9>&- <&-
  while sleep 5; do
    [ $(($(date +%s) - $(stat -c %Y $dir/lock))) -gt 30 ] && kill $main 2>/dev/null && exit
    kill -0 $main 2>/dev/null || exit
  done
) >/dev/null 2>&1 &
watch=$!
trap 'kill $watch 2>/dev/null' EXIT
while read -r _; do touch $dir/lock; done
