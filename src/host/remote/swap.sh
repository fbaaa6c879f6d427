# What a host does by itself to swap a static pod, to watch it, and to put the previous one back; see static_pod.sh, which starts it.
# $1: swap, watch, restore, or unfence. $2 to $6: as there from $1 on. $7: the run's id. $8 and $9, for an API server whose etcd goes along: etcd's
# URL, and to which age it is watched.
do=$1 component=$2 url=$3 limit=$4 watch=$5 balancers=$6 run=$7 etcd_url=${8:-} etcd_watch=${9:-}
dir=/etc/kubernetes/manifests
state=/var/lib/clusterctl/static-pods
comm=$(printf %.15s "$component")
boot=/etc/systemd/system/kubelet.service.d/90-clusterctl-$component.conf
serves() { [ "$(curl -sk -m 2 -o /dev/null -w '%{http_code}' "$url")" = 200 ]; }
# place FILE COMPONENT
place() { cp "$1" "$dir/.$2.swap" && sync "$dir/.$2.swap" && mv -f "$dir/.$2.swap" "$dir/$2.yaml"; }
kubelet_minor() { "/proc/$(systemctl show -p MainPID --value kubelet)/exe" --version 2>/dev/null | sed -n 's/^Kubernetes v1\.\([0-9]*\)\..*/\1/p'; }
pod_cgroups() { for uid in $uids; do find /sys/fs/cgroup -maxdepth 6 -type d -name "*pod$uid*" 2>/dev/null; done; }
pod_logs() { for uid in $uids; do ls /var/log/pods/kube-system_"$component"-*_"$uid"/"$component"/*.log 2>/dev/null; done; }
# exchange FILE PID: puts a manifest in place of the one there, whose process is PID if it runs, and sees an API server's out. From 1.22 on a
# kubelet that finds another static pod of this name not quite gone looks again only 10 to 15 s later: there the old one is gone before the new
# one comes. Should the power fail in between, the kubelet puts the old manifest back as it starts.
exchange() {
  away=
  if [ -e $dir/$component.yaml ] && [ -e $state/$component.old ] && [ "$(kubelet_minor || :)" -ge 22 ] 2>/dev/null; then
    away=yes
    uids=$(for d in /var/log/pods/kube-system_$component-*; do echo "${d##*_}"; done)
    mkdir -p ${boot%/*}
    printf '[Service]\nExecStartPre=-/bin/sh %s/swap-%s.sh restore %s - 0 0\n' $state "$component" "$component" >$boot
    sync $boot
    rm -f $dir/$component.yaml
  else
    place "$1" "$component"
  fi
  if [ "$component" = kube-apiserver ] && [ -n "$2" ]; then end_drained "$2" || return 1; fi
  [ -n "$away" ] || return 0
  tries=0
  while [ -n "$(pod_cgroups)" ] && [ $tries -lt 400 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
  # Its last act is to remove the container with its log, mostly: where it leaves that for later, a second is more than it takes.
  tries=0
  while [ -n "$(pod_logs)" ] && [ $tries -lt 10 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
  # Its etcd comes first: a new API server without one would take the kubelet's calls and not answer them, and that holds up etcd's start.
  etcd_along || return $?
  place "$1" "$component"
  forget_boot
}
# While nobody asks an API server, its etcd goes too: one absence in place of two.
etcd_along() {
  [ -n "$etcd_url" ] || return 0
  at=$etcd_url
  etcd_url=
  api_is_out=yes /bin/sh $state/swap-etcd.sh swap etcd "$at" "$limit" "$etcd_watch" "$balancers" "$run" || return 2
}
forget_boot() { rm -f $boot; rmdir ${boot%/*} 2>/dev/null || :; }
restore() {
  if [ ! -e $dir/$component.yaml ] && [ -e $state/$component.old ]; then place $state/$component.old "$component"; fi
  forget_boot
}
logs() { ls -d /var/log/pods/kube-system_$component-*/$component/*.log 2>/dev/null; }
known='' seen='' starts=0
# How often a container was started since $known was noted. Each start has a log of its own, and the kubelet keeps few of them.
count_starts() {
  seen=$(printf '%s\n' "$seen" "$(logs)" | sort -u | grep .) || :
  starts=$(printf '%s\n' "$seen" | grep -vxF "$known" | grep -c .) || :
}
# Waits until another process than $1 runs and serves. The second answer must be of the same one: a crash-looping server can answer once.
# One that was started three times and never served is not waited for any longer.
wait_new() {
  end=$(($(date +%s) + $2))
  good=
  while [ "$(date +%s)" -lt $end ]; do
    pid=$(pgrep -xo "$comm" || :)
    if [ -n "$pid" ] && [ "$pid" != "$1" ] && serves; then
      [ "$pid" = "$good" ] && return 0
      good=$pid
    else
      good=
      count_starts
      [ -n "$known" ] && [ "$starts" -ge 3 ] && return 1
    fi
    sleep 0.3
  done
  return 1
}
# Whether somebody who asked API server $1 has yet to be read or answered: bytes that wait at two looks in a row on one connection. What a
# watch is told passes at once.
busy() {
  earlier=$waiting
  waiting=$(ss -Htnp state established '( sport = :6443 )' | grep "pid=$1," | awk '$1 + $2 > 0 {print $4}')
  [ -n "$earlier" ] && [ -n "$waiting" ] && echo "$waiting" | grep -qxF "$earlier"
}
# An API server that was told to end listens no more, answers what it has begun, and then sits out its whole grace period for the sake of
# watches, which begin anew elsewhere. Once nobody has waited for it for 3 s it is ended. Fails where it is not told to end.
end_drained() {
  since='' waiting=''
  deadline=$(($(date +%s%3N) + limit * 1000))
  while :; do
    [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$comm" ] || return 0
    now=$(date +%s%3N)
    [ "$now" -lt $deadline ] || return 1
    if ss -Hltnp | grep -q "pid=$1," || busy "$1"; then since=; fi
    since=${since:-$now}
    [ $((now - since)) -lt 3000 ] || break
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || :
}
# reject RULE ACTION CONNECTIONS: what matches is reset; a host without such rules does without.
reject() { "$1" -w 2 "$2" $3 -m comment --comment clusterctl-swap -j REJECT --reject-with tcp-reset 2>/dev/null || :; }
# While an API server or its etcd goes, no balancer may begin with it: a connection that its kernel took and it never did would be torn, a
# refused one goes to another server at once. What this host itself asks, and what is under way, passes.
fence() {
  for from in $(echo "$balancers" | tr , ' '); do
    t=iptables
    case $from in all) from=; t='iptables ip6tables' ;; *:*) t=ip6tables ;; esac
    for t in $t; do
      reject $t "$1" "INPUT -p tcp --dport 6443 --syn ${from:+-s $from} ! -i lo"
    done
  done
}
unfence() {
  [ -z "$api_is_out" ] || return 0
  case $component in kube-apiserver|etcd) fence -D ;; esac
  [ "$component" != etcd ] || attach
}
# The kubelet waits for an answer about a static pod before it starts it, half a minute long where its connection ends at the API server
# beside that has no etcd: the connections it has now are reset with its next word, and new ones lead elsewhere. Where it knows no other
# API server, and from 1.22 on asks in between, new ones are refused: it goes on without an answer then.
detach() {
  at=$(sed -n 's,^ *server: https://,,p' /etc/kubernetes/kubelet.conf | head -n 1)
  to=${at##*:}
  at=${at%:*}
  case $to in ''|*[!0-9]*) to=6443 ;; esac
  case $at in \[*) at=${at#[} at=${at%]} rule=ip6tables ;; *) rule=iptables ;; esac
  if [ "$to" = 6443 ] && [ -n "$(ip -o addr show to "${at:-none}" 2>/dev/null)" ] && [ "$(kubelet_minor || :)" -ge 22 ] 2>/dev/null; then
    cut_off $rule "-d $at --dport $to --syn"
  fi
  ss -Htnp state established "( dport = :$to )" | grep '"kubelet"' | while read -r _ _ from _; do
    case $from in \[*) rule=ip6tables ;; *) rule=iptables ;; esac
    cut_off $rule "--sport ${from##*:}"
  done
}
# cut_off RULE CONNECTIONS: until `attach`; what it undoes is written down first
cut_off() {
  echo "$1 $2" >>$state/etcd.detached
  reject "$1" -I "OUTPUT -p tcp $2"
}
attach() {
  [ -e $state/etcd.detached ] || return 0
  while read -r rule connections; do reject "$rule" -D "OUTPUT -p tcp $connections"; done <$state/etcd.detached
  rm -f $state/etcd.detached
}
# An etcd that goes takes its API server's answers along: who asks has gone elsewhere by then, and what is under way is done.
relieve() {
  [ -z "$api_is_out" ] || return 0
  api=$(pgrep -xo kube-apiserver || :)
  [ -n "$api" ] || return 0
  fence -I
  detach
  quiet=0 tries=0 waiting=''
  while [ $quiet -lt 4 ] && [ $tries -lt 25 ]; do
    tries=$((tries + 1))
    if busy "$api"; then quiet=0; else quiet=$((quiet + 1)); fi
    sleep 0.2
  done
}
# Its API server has found the new etcd before anybody is sent there again.
rejoined() {
  [ -n "$api" ] || return 0
  tries=0
  while [ $tries -lt 100 ]; do
    [ "$(curl -sk -m 2 -o /dev/null -w '%{http_code}' https://127.0.0.1:6443/readyz)" != 200 ] || return 0
    tries=$((tries + 1))
    sleep 0.2
  done
}
# Why the newest container of this component ended, as the host knows it.
evidence() {
  log=$(ls -t /var/log/pods/kube-system_$component-*/$component/*.log 2>/dev/null | head -n 1)
  # One that was started anew by now does not say why the one before it ended.
  if pgrep -x "$comm" >/dev/null && [ -n "$log" ]; then
    before=$(ls -t "${log%/*}"/*.log | sed -n 2p)
    log=${before:-$log}
  fi
  why=$(journalctl -u kubelet -n 400 --no-pager -o cat 2>/dev/null | grep -E "$component" | grep -E 'ErrImage|ImagePull|CrashLoop|[Ee]rror' | tail -n 1 | cut -c1-400)
  pod=${log%/*/*}
  pod=${pod##*/kube-system_}
  ended=$(timeout 5 /usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get pod "${pod%_*}" -o \
    'jsonpath={range .status.containerStatuses[*].lastState.terminated}{.reason}{" (exit code "}{.exitCode}{")"}{end}' 2>/dev/null || :)
  [ -z "$ended" ] || echo "its container ended: $ended"
  [ -z "$why" ] || echo "the kubelet says: $why"
  [ -z "$log" ] || { echo "last lines of its log:"; tail -n 12 "$log" | cut -c1-400; }
}
# Puts the previous manifest back and sees it serve. $1: anything where somebody else said why.
revert() {
  if [ -z "${1:-}" ]; then evidence; fi >$state/$component.why
  known='' etcd_url=
  case $component in kube-apiserver) fence -I ;; etcd) relieve ;; esac
  gone=$(pgrep -xo "$comm" || :)
  exchange $state/$component.old "$gone" || :
  if wait_new "${gone:-none}" 120; then said='is back and serves'; else said='is back and does not serve yet'; fi
  [ "$component" != etcd ] || rejoined
  unfence
  cat $state/$component.why
  echo "the previous manifest of $component $said"
  rm -f $state/$component.old $state/$component.new $state/$component.why
  # What speaks to this API server alone is never newer than it.
  [ "$component" = kube-apiserver ] || return 0
  for other in kube-scheduler kube-controller-manager; do
    while systemctl is-active -q "clusterctl-static-pod-$other"; do sleep 0.3; done
    systemctl stop -q "clusterctl-watch-$other" 2>/dev/null || :
    [ -e $state/$other.old ] || continue
    place $state/$other.old $other
    rm -f $state/$other.old
    echo "the previous manifest of $other is back with it"
  done
}
# Of an etcd that goes along with its API server, the two are one transaction, and the API server's part is the outer one.
api_is_out=${api_is_out:-}
api=
case $do in
  restore) restore; exit 0 ;;
  unfence) [ ! -e $boot ] || restore; unfence; exit 0 ;;
esac
if [ "$do" = watch ]; then
  # It serves now; one that goes down again before it is so old is not good enough to take the next host with.
  pid=$(pgrep -xo "$comm" || :)
  least=$(($(date +%s) + 2))
  bad=0
  while [ "$(ps -o etimes= -p "${pid:-0}" || echo 0)" -lt "$watch" ] || [ "$(date +%s)" -lt $least ] || [ $bad -gt 0 ]; do
    if [ "$(pgrep -xo "$comm" || :)" != "$pid" ]; then bad=9; elif serves; then bad=0; else bad=$((bad + 1)); fi
    if [ $bad -ge 9 ]; then
      { echo "$component served at first, and was down again before it was $watch s old"; revert; } >$state/.$component.failed 2>&1
      mv -f $state/.$component.failed "$state/$component.failed.$run"
      exit 0
    fi
    sleep 0.5
  done
  # Its previous manifest stays until the whole host is seen to stay up: see wait_settled.sh.
  exit 0
fi
trap unfence EXIT
old=$(pgrep -xo "$comm" || :)
if [ ! -s $state/$component.new ]; then
  rm -f $dir/$component.yaml $state/$component.new
  if [ "$component" = kube-apiserver ] && [ -n "$old" ]; then fence -I; end_drained "$old" & fi
  end=$(($(date +%s) + limit))
  while pgrep -x "$comm" >/dev/null; do
    [ "$(date +%s)" -lt $end ] || { echo "$component still runs $limit s after its manifest was removed" >&2; exit 1; }
    sleep 0.2
  done
  exit 0
fi
if cmp -s $state/$component.new $dir/$component.yaml; then
  # It is in place already (an earlier run was interrupted): only see it serve.
  rm -f $state/$component.new
  # A kubelet that once refused a pod never looks at it again; starting anew, it does, and running pods do not notice.
  wait_new none 15 || { systemctl restart kubelet; wait_new none "$limit"; } && exit 0
  echo "$component does not serve at $url" >&2
  [ ! -e $state/$component.old ] || revert >&2
  exit 1
fi
for c in ${etcd_url:+etcd} $component; do
  image=$(sed -n 's/^ *image: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' $state/$c.new | head -n 1)
  if [ -n "$image" ] && command -v ctr >/dev/null && ! ctr -n k8s.io images ls -q 2>/dev/null | grep -qxF "$image"; then
    echo "image $image is not on this host any more; nothing was changed" >&2
    rm -f ${etcd_url:+$state/etcd.new} $state/$component.new
    exit 1
  fi
done
[ -e $dir/$component.yaml ] && cp $dir/$component.yaml $state/$component.old || rm -f $state/$component.old
case $component in
  etcd) relieve; [ -n "$api_is_out" ] || hand_over ;;
  # Leadership moves at a quiet moment: what is under way then can be lost, and a program that starts would draw the moment out.
  kube-apiserver) fence -I; [ -z "$etcd_url" ] || hand_over ;;
esac
known=$(logs)
exchange $state/$component.new "$old" && etcd_along && went=0 || went=$?
if [ $went != 0 ]; then
  # Of an etcd that did not come up, its own part has told.
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
    systemd-run --quiet --collect --unit "clusterctl-watch-$component" /bin/sh $state/swap-$component.sh watch "$component" "$url" "$limit" "$watch" "$balancers" "$run"
  fi
  exit 0
fi
echo "$component did not serve at $url within $limit s, or ended again and again" >&2
if [ -e $state/$component.old ]; then revert >&2; else evidence >&2; fi
exit 1
