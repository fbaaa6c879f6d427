# Finds the processes of this host that belong to its own static pods. The name of a process is not enough: a tenant's control plane (vcluster,
# Kamaji) has processes with the same names on the same host.
# own_logs COMPONENT: prints the log folders of this host's static pods of the component. The UID of a static pod is a hash without hyphens. The UID
# of a pod that was created through the API has hyphens, so its folder is skipped.
own_logs() (
  for folder in $POD_LOGS_DIR/kube-system_"$1"-*_*/"$1"; do
    pod=${folder%/*}
    case ${pod##*_} in *-*) ;; *) [ ! -d "$folder" ] || echo "$folder" ;; esac
  done
)
# last_lines COMPONENT: prints the last lines of the newest log of the component's static pod that is not empty.
last_lines() {
  for folder in $(own_logs "$1"); do
    for log in "$folder"/*.log; do [ ! -s "$log" ] || echo "$log"; done
  done | xargs -r ls -t | head -n 1 | xargs -r tail -n 8
}
# folder_of COMPONENT PID: prints the log folder of the component's static pod whose cgroup contains the process; prints nothing if there is none.
folder_of() (
  group=
  while read -r line; do group="$group $line"; done 2>/dev/null <"/proc/${2:-none}/cgroup" || exit 0
  for folder in $(own_logs "$1"); do
    pod=${folder%/*}
    case $group in *"pod${pod##*_}"*) echo "$folder"; exit 0 ;; esac
  done
)
# own_processes COMPONENT: prints the PIDs of the component's processes that are in the cgroup of one of these static pods, the oldest first. swap.sh
# calls this several times a second, so pgrep is the only program that is started if there is one process.
own_processes() (
  found=
  for pid in $(pgrep -x "$(printf %.15s "$1")"); do
    [ -n "$(folder_of "$1" "$pid")" ] || continue
    # The fields in /proc/PID/stat after the process name in parentheses; the 20th of them is the start time.
    stat=
    read -r stat 2>/dev/null <"/proc/$pid/stat" || :
    began=$(set -- ${stat##*) }; [ $# -lt 20 ] || shift 19; echo "${1:-0}")
    found="$found$began $pid
"
  done
  case $found in
    '') ;;
    *"
"?*) printf %s "$found" | sort -n | cut -d' ' -f2 ;;
    *) found=${found#* } && printf %s "$found" ;;
  esac
)
# own_process COMPONENT: prints the PID of the oldest process that own_processes finds.
own_process() (
  all=$(own_processes "$1")
  echo "${all%%
*}"
)
# is_own COMPONENT PID: succeeds if the process belongs to one of this host's static pods of the component.
is_own() (
  case "
$(own_processes "$1")
" in *"
$2
"*) ;; *) exit 1 ;; esac
)
