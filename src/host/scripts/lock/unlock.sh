# Frees the lock of this host if the run that holds it has died.
# Argument: `action` is `look`, which changes nothing, or `free`.
# Output: `free` if no run holds the lock; `busy HOLDER...` if the run that holds it is at work; or, if that run sends no tick for 15 s, `silent
# HOLDER...` (with `look`) or `freed HOLDER...`. A run that is at work sends a tick every 5 s (see lock.sh). The times of two ticks are compared with
# each other and not with the clock: the clock may have been set back, and then the lock of a dead run seems to be in use.
set -eu
export LC_ALL=C
dir=$STATE_DIR
if ! [ -e $dir/lock.flock ]; then
  echo free
  exit
fi
exec 9<$dir/lock.flock
is_free() { flock -n 9; }
holder() { head -n 1 $dir/lock 2>/dev/null || echo unknown; }
if is_free; then
  echo free
  exit
fi
ticked() { stat -c %y $dir/lock 2>/dev/null || :; }
first=$(ticked)
looks=0
while [ $looks -lt 30 ]; do
  sleep 0.5
  looks=$((looks + 1))
  if is_free; then
    echo free
    exit
  fi
  if [ "$(ticked)" != "$first" ]; then
    echo "busy $(holder)"
    exit
  fi
done
if [ "$action" = look ]; then
  echo "silent $(holder)"
  exit
fi
# Prints the PIDs of the processes that have the lock file open. The lock is held as long as one of them lives, so they are killed.
holders() {
  for link in /proc/[0-9]*/fd/9; do
    [ "$(readlink "$link" 2>/dev/null)" = $dir/lock.flock ] || continue
    pid=${link#/proc/}
    pid=${pid%%/*}
    [ "$pid" = $$ ] || echo "$pid"
  done
}
for signal in TERM KILL; do
  for pid in $(holders); do kill -s $signal "$pid" 2>/dev/null || :; done
  looks=0
  while [ $looks -lt 10 ]; do
    if is_free; then
      echo "freed $(holder)"
      exit
    fi
    sleep 0.2
    looks=$((looks + 1))
  done
done
echo "the lock is still held by process $(holders | paste -sd' ' -), which does not end" >&2
exit 1
