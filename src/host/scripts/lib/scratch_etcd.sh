# Runs an etcd in a folder of its own. It has no connection to the members of the cluster, and only root can reach it: it listens on sockets in the
# folder, which only root can enter, and on no port.
# end_programs FOLDER: kills the processes whose program is in the folder. The script that started them was killed.
end_programs() {
  find /proc -maxdepth 2 -name exe -lname "$1/*" 2>/dev/null | while read -r link; do
    pid=${link%/exe}
    kill -KILL "${pid##*/}" 2>/dev/null || :
  done
}
scratch=
# start_scratch FOLDER SECONDS [FLAG...]: starts the program `etcd` of the folder over the data in the folder `data` beside it, and waits until it
# answers. It ends by itself after an hour, in case this script is killed.
start_scratch() {
  home=$1 seconds=$2
  shift 2
  (cd "$home" && exec timeout -k 5 3600 ./etcd --name scratch --data-dir data --initial-cluster scratch=unix://peer:1 \
    --listen-client-urls unix://client:1 --advertise-client-urls unix://client:1 \
    --listen-peer-urls unix://peer:1 --initial-advertise-peer-urls unix://peer:1 "$@") >"$home/log" 2>&1 8>&- </dev/null &
  scratch=$!
  # Succeeds once it answers, or if it has ended, which the next check finds.
  answers() { ! kill -0 $scratch 2>/dev/null || ask_scratch endpoint status >/dev/null 2>&1; }
  comes "$seconds" answers || :
  ask_scratch endpoint status >/dev/null 2>&1 || {
    echo "an etcd over the data of the snapshot does not answer; the last lines of its log:" >&2
    tail -n 8 "$home/log" | cut -c1-400 >&2
    exit 1
  }
}
# ask_scratch WORD...: runs etcdctl with this etcd.
ask_scratch() { (cd "$home" && $ETCDCTL --endpoints unix://client:1 --dial-timeout 2s --command-timeout $((120 * ${CLUSTERCTL_PATIENCE:-1}))s "$@"); }
# end_scratch: ends this etcd and waits for its end. `timeout` passes the signal on, and kills it 5 s later.
end_scratch() {
  [ -n "$scratch" ] || return 0
  kill -TERM $scratch 2>/dev/null || :
  wait $scratch 2>/dev/null || :
  scratch=
}
