# Finds processes that use the data of Kubernetes, whatever runtime runs them.
# in_use FOLDER...: prints a line for each process that is in the cgroup of a pod, and for each process that has a file below one of the folders open.
# The folders of logs do not count, because an operator's program may read the logs of pods. The cgroup of a pod is below the kubelet's cgroup
# `kubepods`, and contains the UID of the pod.
in_use() (
  for pid in $(grep -lE 'kubepods|pod[0-9a-f]{32}([^0-9a-f]|$)|pod[0-9a-f]{8}[-_][0-9a-f]{4}[-_]' /proc/[0-9]*/cgroup 2>/dev/null | sed 's,/cgroup$,,; s,.*/,,'); do
    # A zombie has ended already, and only its parent has not read its exit status.
    grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null || echo "process $pid ($(name_of "$pid")) runs in a pod"
  done
  for folder; do
    case $folder in $POD_LOGS_DIR|$CONTAINER_LOGS_DIR) continue ;; esac
    [ -d "$folder" ] || continue
    real=$(readlink -f "$folder")
    find /proc/[0-9]*/fd -maxdepth 1 -lname "$real/*" 2>/dev/null | while read -r open; do
      # The path is that of the process's own mounts, so the process of a container outside of Kubernetes may have another file at this path.
      file=$(readlink "$open") && [ "$open" -ef "$file" ] || continue
      pid=${open%/fd/*}
      pid=${pid##*/}
      echo "process $pid ($(name_of "$pid")) has $file open"
    done || :
  done
)
name_of() { cat "/proc/$1/comm" 2>/dev/null || echo unknown; }
