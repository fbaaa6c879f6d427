# How swap.sh waits for the process of a new static pod: the logs of its containers, and the process that answers.
serves() { [ "$(curl -sk -m 2 -o /dev/null -w '%{http_code}' "$url")" = 200 ] && served=yes; }
logs() { for folder in $(own_logs "$component"); do ls -d "$folder"/*.log 2>/dev/null; done; }
# $known lists the log files of containers that were started before the present manifest was placed; new_logs prints the later ones. Each start of a
# container has its own log file. The kubelet deletes old ones, so $seen collects the names.
known='' seen='' starts=0 served=
new_logs() { logs | grep -vxF "$known" || :; }
# Sets $starts to the number of containers that were started since $known was set.
count_starts() {
  seen=$(printf '%s\n' "$seen" "$(new_logs)" | sort -u | grep .) || :
  starts=$(printf '%s\n' "$seen" | grep -c .) || :
}
# Succeeds if the container of the new manifest has ended three times. The log of a container that is being created is empty, so a container that has
# written to its log and has no process has ended. A container that ends without writing anything has ended three times when it is started the fourth
# time.
ended_thrice() {
  [ "$starts" -ge 3 ] || return 1
  [ "$starts" -ge 4 ] || for log in $(new_logs); do [ -s "$log" ] || return 1; done
  [ -z "$(own_process "$component")" ]
}
# end_if_kept PID TIME: ends the process PID if it still runs 30 s after TIME (in seconds), when the manifest was placed. The kubelet ends the process
# of a changed manifest within 20 s, the interval at which it reads all manifests. If it has not, it takes the manifest for the one that runs, because
# it never read what was in the file meanwhile, for example a truncated manifest. The process may nevertheless run another manifest, so it is ended,
# and the kubelet starts a new one. After a manifest was set aside, this cannot happen.
end_if_kept() {
  [ -z "$away" ] && [ "$(date +%s)" -ge $(($2 + 30 * patience)) ] && [ "$1" != "$told_to_end" ] || return 0
  told_to_end=$1
  kill -TERM "$1" 2>/dev/null || :
}
away='' told_to_end=
# wait_new PID SECONDS: waits until another process than PID runs and has answered twice with 200: a server in a crash loop can answer once. Fails
# after SECONDS, or when the new container has ended three times and one of its starts was after the end of PID: until then PID holds the port, and
# the kubelet waits 10 s or longer before it starts the new container again.
wait_new() {
  begun=$(date +%s)
  end=$((begun + $2))
  good='' beside=''
  while [ "$(date +%s)" -lt $end ]; do
    pid=$(own_process "$component")
    if [ -n "$pid" ] && [ "$pid" != "$1" ] && serves; then
      [ "$pid" = "$good" ] && return 0
      good=$pid
    else
      good=
      if [ -n "$pid" ] && [ "$pid" = "$1" ]; then
        beside=$(logs)
        end_if_kept "$1" "$begun"
      fi
      count_starts
      [ -n "$known" ] && [ -z "$pid" ] && [ "$(logs)" != "$beside" ] && ended_thrice && return 1
    fi
    sleep 0.3
  done
  return 1
}
