# lib.sh: functions that benchmarks share: a second set of lab hosts, an idle machine, times and medians. Sourced, never run.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
[ -x "${CLUSTERCTL:-$ROOT/target/release/clusterctl}" ] || cargo build --release --quiet --manifest-path "$ROOT/Cargo.toml"
use_clusterctl "${CLUSTERCTL:-$ROOT/target/release/clusterctl}"
# second COMMAND...: runs the command for the second set of lab hosts, which has its own network and is used by kubeadm
second() { CLUSTERCTL_LAB_NET=${NET}2 CLUSTERCTL_LAB_SUBNET=${CLUSTERCTL_LAB2_SUBNET:-172.31.0} "$@"; }

# idle: measures for one second; succeeds if the processors were idle for at least nine tenths of it. The load average is not used, because it
# includes the minutes before.
idle() {
    local before after
    read -ra before </proc/stat; sleep 1; read -ra after </proc/stat
    awk -v b="${before[*]}" -v a="${after[*]}" 'BEGIN {split(b, x); split(a, y); for (i = 2; i <= 9; i++) t += y[i] - x[i]; exit !((y[5] - x[5] + y[6] - x[6]) >= 0.9 * t)}'
}
quiet() { wait_until 60 idle || say "note: the machine is not quiet"; }
timed() { local start; start=$(millis); "$@" >"$WORK/bench.log" 2>&1 || { tail -n 20 "$WORK/bench.log"; exit 1; }; echo $(($(millis) - start)); }
median() { sort -n | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : int((v[NR / 2] + v[NR / 2 + 1]) / 2)}'; }
