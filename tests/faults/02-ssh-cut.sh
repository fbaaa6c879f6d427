#!/bin/bash
# SSH is cut after 10, 50, 90 and 99 % of the data that a run sends to a host, and an answer is lost after its command took effect.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
# through_pipe HOST: makes an `ssh` in $NOTES/bin whose connections to this host pass through cut.py; clusterctl uses it if $NOTES/bin is first in
# PATH
through_pipe() {
    mkdir -p "$NOTES/bin" "$NOTES/pipe"
    printf 'Host %s\n  ProxyCommand python3 %s %s %%h %%p\n' "$(ip_of "$1")" "$FAULTS/cut.py" "$NOTES/pipe" >"$NOTES/ssh_config"
    printf '#!/bin/sh\nexec %s -F %s "$@"\n' "$(command -v ssh)" "$NOTES/ssh_config" >"$NOTES/bin/ssh"
    chmod 0755 "$NOTES/bin/ssh"
}
piped() { PATH=$NOTES/bin:$PATH tried "$@"; }
# differs: makes differences on w2 that clusterctl corrects with files, a program that it downloads, and a restart of the kubelet
differs() {
    on w2 sh -c 'echo "maxPods: 7" >>/var/lib/kubelet/config.yaml; rm -f /etc/cni/net.d/10-clusterctl.conflist; echo x >>/usr/local/bin/kubectl'
}
program_works() { on w2 sh -c '[ ! -e /usr/local/bin/kubectl ] || /usr/local/bin/kubectl version --client >/dev/null'; }
same_pid() { [ "$(on m2 pgrep -x -o kube-apiserver)" = "$pid" ]; }

fault 2 "SSH is cut after 10, 50, 90 and 99 % of what is sent"
through_pipe w2
differs
expect "a run through the pipe, without a fault" 0 piped apply
# The number of bytes is taken from the second run: the first run may have waited longer, because it did some work for the first time, and a run that
# waits longer sends more.
differs
rm "$NOTES/pipe/sent"
expect "another run through the pipe" 0 piped apply
whole=$(awk '{ n += $1 } END { print n }' "$NOTES/pipe/sent")
check "the run used the pipe ($whole bytes)" test "${whole:-0}" -gt 10000
for percent in 10 50 90 99; do
    differs
    echo $((whole * percent / 100)) >"$NOTES/pipe/cut-after"
    piped apply; status=$?
    check "at $percent % the connection was cut" test ! -e "$NOTES/pipe/cut-after"
    # If the cut falls between two commands, clusterctl connects again and the run may succeed. If it falls within a command, the run fails with an
    # error that names the unknown effect or the connection.
    case $status in
        0) pass "at $percent % the run continued over a new connection" ;;
        1|5) check "I9: at $percent % the message names w2, the step, the cause and what to do (exit $status)" \
            explains w2 'running; whether it took effect is unknown|connection' ;;
        *) fail "at $percent %: exit $status"; said "$(cat "$WORK/tried.log")" ;;
    esac
    check "I8: at $percent % the lock is released" wait_until 45 unlocked
    expect "I5: at $percent % the same command completes the work" 0 tried apply
    check "the program works" program_works
done
rm -f "$NOTES/pipe/cut-after"
recovers
holds

fault 3 "the answer is lost after the command took effect"
through_pipe m2
change
PATH=$NOTES/bin:$PATH begin apply
check "the API server of m2 is being replaced" wait_until 180 swapping m2
touch "$NOTES/pipe/deaf"
replaced() { changed m2 && ! swapping m2; }
check "m2 completes that by itself, and its answer is lost" wait_until 120 replaced
pid=$(on m2 pgrep -x -o kube-apiserver)
rm "$NOTES/pipe/deaf"
# The run has changed m1, so its exit status is 1 and not 5.
ends "the run ends: m2 cannot be reached" 1
check "I9: the message names m2, the step and the unknown effect" explains m2 'while a command was running; whether it took effect is unknown'
check "the next host was not touched" unchanged m3
note_files
recovers
check "what had taken effect was not done again" same_pid
check "the change is on m3" changed m3
holds
finish
