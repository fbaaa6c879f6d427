# Swaps a static pod, watches the new pod, and puts the previous manifest back. static_pod.sh starts this script in a transient systemd unit. These
# files precede it: hand_over.sh, lock_held.sh, process.sh, quorum.sh, manifest.sh, refuse.sh, etcd_version.sh.
# Arguments: $1 is the action. `swap` replaces the static pod. `remove` removes it. `restart` is a swap that ends the process even if the manifest
# stays the same. `watch` watches a new static pod. The kubelet's unit runs `restore` before the kubelet starts. systemd runs `unfence` after a watch,
# and `ended` after a transaction, however it ended. $2 is the component.
# For swap, restart, remove and watch, $3 is the URL that answers 200 if the component works, $4 the limit in seconds, $5 the age in seconds up to
# which the new process is watched, $6 the addresses of load balancers (see static_pod.sh), and $7 the ID of the run. For an API server whose etcd is
# swapped with it, $8 is the URL of etcd, and $9 the age in seconds up to which etcd is watched.
# systemd's DefaultEnvironment may name a proxy, which must not receive requests to this host's own etcd and API server.
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY
export LC_ALL=C
patience=${CLUSTERCTL_PATIENCE:-1}
do=$1 component=$2 url=${3:-} limit=${4:-0} watch=${5:-0} balancers=${6:-} run=${7:-} etcd_url=${8:-} etcd_watch=${9:-}
serves() { [ "$(curl -sk -m 2 -o /dev/null -w '%{http_code}' "$url")" = 200 ] && served=yes; }
kubelet_minor() { "/proc/$(systemctl show -p MainPID --value kubelet)/exe" --version 2>/dev/null | sed -n 's/^Kubernetes v1\.\([0-9]*\)\..*/\1/p'; }
image_of() { sed -n 's/^ *image: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$1" | head -n 1; }
pod_cgroups() { for uid in $uids; do find /sys/fs/cgroup -maxdepth 6 -type d -name "*pod$uid*" 2>/dev/null; done; }
pod_logs() { for uid in $uids; do ls /var/log/pods/kube-system_"$component"-*_"$uid"/"$component"/*.log 2>/dev/null; done; }
# exchange FILE PID: replaces the present manifest of the component by FILE. PID is the process of the component, or empty. If that is an API server,
# the function waits until it has answered its last requests. A kubelet of 1.22 or later that finds the previous static pod of this name still ending
# looks again only 10 to 15 s later. On such a host, the new manifest is placed after the previous pod has ended. Status 3: nothing was changed,
# because the files cannot be written. Status 2: etcd did not come up.
exchange() {
  stage "$1" "$component" || return 3
  away=
  if [ -e $dir/$component.yaml ] && old_is_whole "$component" && [ "$(kubelet_minor || :)" -ge 22 ] 2>/dev/null; then
    uids=$(for folder in $(own_logs "$component"); do folder=${folder%/*}; echo "${folder##*_}"; done)
    set_aside "$component" || return 3
    away=yes
  else
    place "$component" || return 3
  fi
  if [ "$component" = kube-apiserver ] && [ -n "$2" ]; then end_drained "$2" || return 1; fi
  [ -n "$away" ] || return 0
  tries=0
  while [ -n "$(pod_cgroups)" ] && [ $tries -lt $((400 * patience)) ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
  # Usually the kubelet removes the container with its log last, within a second, so the script waits that long; sometimes it does that later.
  tries=0
  while [ -n "$(pod_logs)" ] && [ $tries -lt 10 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
  # The new etcd on this host is started before the new API server: an API server without etcd would accept the kubelet's requests and not answer
  # them, and the kubelet would start etcd late.
  etcd_along || return $?
  place "$component" || return 1
  back_in_place "$component"
}
# If etcd is swapped with its API server, swaps etcd while that API server gets no requests, so that clients lose this host once and not twice.
etcd_along() {
  [ -n "$etcd_url" ] || return 0
  at=$etcd_url
  etcd_url=
  api_is_out=yes /bin/sh $state/swap-etcd.sh swap etcd "$at" "$limit" "$etcd_watch" "$balancers" "$run" || return 2
}
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
# busy PID: succeeds if the API server with this PID has a request to read or a response to send: on one of its connections, bytes were waiting at
# this call and at the previous call. The events of a watch are sent at once and do not count.
busy() {
  earlier=$waiting
  waiting=$(ss -Htnp state established '( sport = :6443 )' | grep "pid=$1," | awk '$1 + $2 > 0 {print $4}')
  [ -n "$earlier" ] && [ -n "$waiting" ] && echo "$waiting" | grep -qxF "$earlier"
}
# end_drained PID: ends the API server with this PID when it has answered its last requests. After SIGTERM an API server stops listening, finishes its
# requests, and keeps its watches until the end of its grace period, although clients can begin a watch again elsewhere. So the API server is killed
# once no client has waited for a response for 3 s. Fails after $limit seconds, for example if the kubelet does not send SIGTERM.
end_drained() {
  since='' waiting='' begun=$(date +%s)
  deadline=$(($(date +%s%3N) + limit * 1000))
  while :; do
    is_own "$component" "$1" || return 0
    now=$(date +%s%3N)
    [ "$now" -lt $deadline ] || return 1
    if ss -Hltnp | grep -q "pid=$1,"; then
      since=
      end_if_kept "$1" "$begun"
    elif busy "$1"; then
      since=
    fi
    since=${since:-$now}
    [ $((now - since)) -lt 3000 ] || break
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || :
}
# end_process PID: ends a process of this component as the kubelet would: SIGTERM, and SIGKILL after 30 s. The kubelet then starts another one.
end_process() {
  is_own "$component" "$1" || return 0
  kill -TERM "$1" 2>/dev/null || :
  deadline=$(($(date +%s) + 30 * patience))
  while is_own "$component" "$1"; do
    [ "$(date +%s)" -lt $deadline ] || { kill -KILL "$1" 2>/dev/null || :; return 0; }
    sleep 0.2
  done
}
# Before etcd ends, clients are sent to other API servers, and the script waits up to 5 s until the API server on this host has finished its requests,
# because without etcd it answers none.
relieve() {
  [ -z "$api_is_out" ] || return 0
  api=$(own_process kube-apiserver)
  [ -n "$api" ] || return 0
  refuse_balancers
  refuse_kubelet
  quiet=0 tries=0 waiting=''
  while [ $quiet -lt 4 ] && [ $tries -lt 25 ]; do
    tries=$((tries + 1))
    if busy "$api"; then quiet=0; else quiet=$((quiet + 1)); fi
    sleep 0.2
  done
}
# Waits up to 20 s until the API server on this host is ready with the new etcd; only then are the rules that reject clients removed.
rejoined() {
  [ -n "$api" ] || return 0
  tries=0
  while [ $tries -lt 100 ]; do
    [ "$(curl -sk -m 2 -o /dev/null -w '%{http_code}' https://127.0.0.1:6443/readyz)" != 200 ] || return 0
    tries=$((tries + 1))
    sleep 0.2
  done
}
# log_of PID: prints the log of the container with this process: the newest log of its pod.
log_of() {
  folder=$(folder_of "$component" "$1")
  [ -z "$folder" ] || echo "$folder/$(ls "$folder" | grep -x '[0-9]*\.log' | sort -n | tail -n 1)"
}
# ended_log: prints the log of the newest container of the present manifest that has ended, or of the running container if none has ended. The log
# of a container that is being created is empty.
ended_log() {
  runs=$(log_of "$(own_process "$component")")
  for log in $(ls -t $(new_logs) /dev/null | grep -vx /dev/null); do
    [ ! -s "$log" ] || [ "$log" = "$runs" ] || { echo "$log"; return 0; }
  done
  [ ! -s "$runs" ] || echo "$runs"
}
# Prints why the newest ended container of this component ended, from the pod's status, the kubelet's log and the container's log.
evidence() {
  log=$(ended_log)
  why=$(journalctl -u kubelet -n 400 --no-pager -o cat 2>/dev/null | grep -E "$component" | grep -E 'ErrImage|ImagePull|CrashLoop|[Ee]rror' | tail -n 1 | cut -c1-400)
  pod=${log%/*/*}
  pod=${pod##*/kube-system_}
  ended=$(timeout 5 /usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get pod "${pod%_*}" -o \
    'jsonpath={range .status.containerStatuses[*].lastState.terminated}{.reason}{" (exit code "}{.exitCode}{")"}{end}' 2>/dev/null || :)
  [ -z "$ended" ] || echo "its container ended: $ended"
  [ -z "$why" ] || echo "the kubelet says: $why"
  [ -z "$log" ] || { echo "last lines of its log:"; tail -n 12 "$log" | cut -c1-400; }
}
# note_etcd: before etcd is swapped for another image, writes its minor version and the client URLs of all members to a file for has_no_way_back.
note_etcd() {
  rm -f $state/etcd.before
  [ "$component" = etcd ] && [ "$(image_of $dir/etcd.yaml)" != "$(image_of $state/etcd.new)" ] || return 0
  members=$(client_urls)
  tag=$(image_of $dir/etcd.yaml)
  printf '%s\n%s\n' "$(minor_of "${tag##*:}")" "$members" >$state/etcd.before
}
# has_no_way_back: succeeds, and prints why, if the previous etcd would refuse to start with the present data.
has_no_way_back() {
  [ "$component" = etcd ] && [ -s $state/etcd.before ] && [ -e $dir/etcd.yaml ] || return 1
  was=$(sed -n 1p $state/etcd.before)
  now=$(minor_of "$(image_of $dir/etcd.yaml | sed 's/.*://')")
  { [ -n "$was" ] && [ -n "$now" ] && is_older "$was" "$now"; } || return 1
  cluster=$(cluster_minor https://127.0.0.1:2379 $(sed 1d $state/etcd.before))
  # If no member reports the cluster version and the new etcd has answered once, the cluster version is assumed to be raised, because a cluster of one
  # member raises it within seconds.
  [ -n "$cluster" ] || [ -z "$served" ] || cluster=$now
  [ -n "$cluster" ] && is_older "$was" "$cluster" || return 1
  echo "etcd went from $was to $now and the cluster version is $cluster: etcd $was would refuse to start (invalid downgrade), so the new manifest of etcd stays in place"
  echo "the way back is the snapshot of etcd that was saved on the operator's machine before the upgrade: restore it with etcdutl snapshot restore"
}
# revert [TOLD]: puts the previous manifest back, waits until the component answers, and prints the result. Also prints why the new container ended,
# unless TOLD is set.
revert() {
  if [ -z "${1:-}" ]; then evidence; fi >$state/$component.why
  known='' etcd_url=
  if has_no_way_back; then
    cat $state/$component.why
    accept_again
    forget_old "$component"
    rm -f $state/$component.new $state/$component.why $state/etcd.before
    return 0
  fi
  old_is_whole "$component" || { cat $state/$component.why; echo "no whole copy of the previous manifest of $component is on this host; the new one stays"; return 0; }
  case $component in kube-apiserver) refuse_balancers ;; etcd) relieve ;; esac
  gone=$(own_process "$component")
  exchange $state/$component.old "$gone" || restore "$component" || :
  if ! cmp -s $state/$component.old $dir/$component.yaml; then
    unfence
    cat $state/$component.why
    echo "the previous manifest of $component could not be put back (no space on the disk?); a copy is $state/$component.old"
    return 0
  fi
  if wait_new "${gone:-none}" "$limit"; then said='is back and serves'; else said='is back and does not serve yet'; fi
  [ "$component" != etcd ] || rejoined
  unfence
  cat $state/$component.why
  echo "the previous manifest of $component $said"
  forget_old "$component"
  rm -f $state/$component.new $state/$component.why $state/etcd.before
  # The scheduler and the controller manager use this API server alone and must not be newer than it, so their previous manifests are put back, too.
  [ "$component" = kube-apiserver ] || return 0
  for other in kube-scheduler kube-controller-manager; do
    # A transaction of the other component is waited for; it ends within four minutes, or never.
    tries=0
    while systemctl is-active -q "clusterctl-static-pod-$other" && [ $tries -lt 800 ]; do
      tries=$((tries + 1))
      sleep 0.3
    done
    systemctl stop -q "clusterctl-watch-$other" 2>/dev/null || :
    old_is_whole $other || continue
    if stage $state/$other.old $other && place $other; then
      forget_old $other
      echo "the previous manifest of $other is back with it"
    else
      echo "the previous manifest of $other could not be put back; a copy is $state/$other.old"
    fi
  done
}
# Removes the rules that reject clients. If etcd is swapped with its API server, etcd's part of the transaction leaves that to the API server's part.
unfence() { [ -n "$api_is_out" ] || accept_again; }
api_is_out=${api_is_out:-}
api=
case $do in
  restore) restore "$component"; exit ;;
  unfence|ended)
    [ ! -e "$(boot_of "$component")" ] || restore "$component"
    unfence
    [ "$do" = unfence ] || rm -f $state/$component.new "$dir/.$component.swap"
    exit 0 ;;
esac
if [ "$do" = watch ]; then
  # The new process has answered. If it ends or stops answering before it is $watch s old, the previous manifest comes back and the run stops before
  # the next host.
  served=yes
  pid=$(own_process "$component")
  # The log files of the replaced pod may still exist, and are not counted.
  known=$(logs | grep -vF "$(folder_of "$component" "$pid")/" || :)
  least=$(($(date +%s) + 2))
  bad=0
  while [ "$(ps -o etimes= -p "${pid:-0}" || echo 0)" -lt "$watch" ] || [ "$(date +%s)" -lt $least ] || [ $bad -gt 0 ]; do
    if [ "$(own_process "$component")" != "$pid" ]; then bad=9; elif serves; then bad=0; else bad=$((bad + 1)); fi
    if [ $bad -ge 9 ]; then
      { echo "$component served at first, and was down again before it was $watch s old"; revert; } >$state/.$component.failed 2>&1
      mv -f $state/.$component.failed "$state/$component.failed.$run"
      exit 0
    fi
    sleep 0.5
  done
  # The previous manifest is kept until all new static pods of the host have been watched: see wait_settled.sh.
  exit 0
fi
case $do in swap|restart|remove) ;; *) echo "swap.sh cannot do '$do'" >&2; exit 2 ;; esac
trap unfence EXIT
old=$(own_process "$component")
# A run that has lost its lock must stop before its first effect. A swap of etcd together with an API server is not the first effect of its
# transaction.
[ -n "$api_is_out" ] || still_ours
if [ "$do" = remove ]; then
  # The copy of the manifest and the drop-in that would restore it are removed before the manifest.
  forget_old "$component"
  back_in_place "$component"
  rm -f $dir/$component.yaml
  sync $dir
  if [ "$component" = kube-apiserver ] && [ -n "$old" ]; then refuse_balancers; end_drained "$old" & fi
  end=$(($(date +%s) + limit))
  while [ -n "$(own_process "$component")" ]; do
    [ "$(date +%s)" -lt $end ] || { echo "$component still runs $limit s after its manifest was removed" >&2; exit 1; }
    sleep 0.2
  done
  exit 0
fi
[ -s $state/$component.new ] || { echo "the new manifest of $component is empty; nothing was changed" >&2; exit 1; }
if cmp -s $state/$component.new $dir/$component.yaml; then
  if [ "$do" = restart ] && [ -n "$old" ]; then
    rm -f $state/$component.new
    known=$(logs)
    end_process "$old"
    wait_new "$old" "$limit" && exit 0
    echo "$component was ended so that it reads its changed kubeconfig, and did not serve at $url again within $limit s" >&2
    if [ -e $state/$component.old ]; then revert >&2; else evidence >&2; fi
    exit 1
  fi
  # The new manifest is in place already, because an earlier run was interrupted, so the script only waits until the component answers.
  rm -f $state/$component.new
  # A kubelet that has refused a static pod looks at it again only after a restart. Running pods do not notice the restart.
  wait_new none 15 || { systemctl restart kubelet; wait_new none "$limit"; } && exit 0
  echo "$component does not serve at $url" >&2
  [ ! -e $state/$component.old ] || revert >&2
  exit 1
fi
for c in ${etcd_url:+etcd} $component; do
  image=$(image_of $state/$c.new)
  if [ -n "$image" ] && command -v ctr >/dev/null && ! ctr -n k8s.io images ls -q 2>/dev/null | grep -qxF "$image"; then
    echo "image $image is not on this host any more; nothing was changed" >&2
    exit 1
  fi
done
# The quorum is checked here again, because minutes may have passed since the run checked it. A swap of an API server together with etcd stops the
# member, too.
case $component$etcd_url in
  kube-apiserver) ;;
  etcd|kube-apiserver?*)
    wait_quorum 60 || { echo "nothing was changed" >&2; exit 1; }
    [ -n "$api_is_out" ] || still_ours ;;
esac
# The present manifest is copied for a rollback. If an interrupted run has copied the manifest before it, and the present one does not work, that copy
# stays the way back.
if ! old_is_whole "$component" || serves; then
  keep_old "$component" || { echo "the manifest of $component cannot be kept in $state (no space?); nothing was changed" >&2; exit 1; }
fi
note_etcd
case $component in
  etcd) relieve; [ -n "$api_is_out" ] || hand_over ;;
  # The leadership of etcd is handed over while this API server gets no new requests, because a request that is under way at that moment can be lost.
  # While a new process starts, the hand-over would take longer.
  kube-apiserver) refuse_balancers; [ -z "$etcd_url" ] || hand_over ;;
esac
known=$(logs) served=
exchange $state/$component.new "$old" && etcd_along && went=0 || went=$?
if [ $went = 3 ]; then
  echo "the new manifest of $component cannot be written to $dir (no space?); nothing was changed" >&2
  ! cmp -s $state/$component.old $dir/$component.yaml || forget_old "$component"
  exit 1
fi
if [ $went != 0 ]; then
  # If etcd did not come up, its own part of the transaction has printed the cause, so `revert` does not.
  told=quietly
  [ $went = 2 ] || { echo "the kubelet did not end $component within $limit s" >&2; told=; }
  rm -f ${etcd_url:+$state/etcd.new}
  [ ! -e $state/$component.old ] || revert $told >&2
  exit 1
fi
if wait_new "${old:-none}" "$limit"; then
  [ "$component" != etcd ] || rejoined
  rm -f $state/$component.new
  if [ -e $state/$component.old ] && [ "$watch" -gt 0 ]; then
    systemctl reset-failed "clusterctl-watch-$component" 2>/dev/null || :
    systemd-run --quiet --collect "--setenv=CLUSTERCTL_PATIENCE=$patience" --unit "clusterctl-watch-$component" -p "ExecStopPost=-/bin/sh $state/swap-$component.sh unfence $component" \
      /bin/sh $state/swap-$component.sh watch "$component" "$url" "$limit" "$watch" "$balancers" "$run"
  fi
  exit 0
fi
echo "$component did not serve at $url within $limit s, or ended again and again" >&2
if [ -e $state/$component.old ]; then revert >&2; else evidence >&2; fi
exit 1
