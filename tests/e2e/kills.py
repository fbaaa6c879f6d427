#!/usr/bin/env python3
"""kills.py VICTIM EVERY NETWORK COMMAND...: runs a command of clusterctl again and again until it succeeds. In each run, VICTIM is killed with SIGKILL
during one step, at most once in each step of each host; only every EVERY-th step is taken. VICTIM is `clusterctl`, the process on this machine;
`sshd`, the sessions of sshd on the host of the step; or `script`, the scripts that clusterctl runs on that host, without the one that holds the lock.
NETWORK is the beginning of the names of the lab's containers. The moment of the kill within the step varies. Prints a line for each kill and, at the
end, the number of kills. Exit status 1: a run failed although nothing was killed in it, or the runs did not come to an end."""

import itertools
import json
import subprocess
import sys
import time

# Seconds between the begin of a step and the kill: many steps take less than half a second, and a swap of a static pod takes about ten.
DELAYS = (0.0, 0.05, 0.2, 0.6, 1.5, 4.0)
# A run that is refused because the lock of a killed run is still held is repeated for so long. A lock ends at most 40 s after its run.
LOCKED = 60
RUNS = 400
# Ends the processes that sudo started on a host and that are not the holder of the lock.
SCRIPTS = """n=0
for s in $(pgrep -x sudo); do
    for p in $(pgrep -P "$s"); do
        if ! tr '\\0' '\\n' <"/proc/$p/cmdline" 2>/dev/null | grep -q 'lock\\.flock'; then kill -KILL "$p" && n=1; fi
    done
done
[ $n = 1 ]"""


def kill(victim, network, host, run):
    """Kills the victim; returns whether there was one."""
    if victim == "clusterctl":
        run.kill()
        return True
    words = ["pkill", "-KILL", "-f", "^sshd: ops"] if victim == "sshd" else ["sh", "-c", SCRIPTS]
    return subprocess.run(["docker", "exec", f"{network}-{host}", *words], capture_output=True).returncode == 0


def one_run(victim, every, network, command, seen, delay):
    """Runs the command once. Returns its exit status, its output, and the step in which the victim was killed, or None."""
    run = subprocess.Popen([*command, "--output", "json"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines, at, fresh = [], None, 0
    for line in run.stdout:
        lines.append(line)
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if at or not isinstance(event, dict) or event.get("event") != "step-started":
            continue
        step = (event["host"], event["step"])
        if step in seen:
            continue
        fresh += 1
        if fresh < every:
            continue
        time.sleep(delay)
        seen.add(step)
        if kill(victim, network, step[0], run):
            at = step
    return run.wait(), "".join(lines), at


def main():
    victim, every, network, command = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    seen, kills, delays, locked = set(), 0, itertools.cycle(DELAYS), None
    for _ in range(RUNS):
        status, output, at = one_run(victim, every, network, command, seen, next(delays))
        if at:
            kills += 1
            locked = None
            print(f"killed {victim} at {at[0]}: {at[1][:90]} (exit {status})", flush=True)
        elif status == 0:
            print(f"kills {kills}")
            return 0
        elif status == 7 and (locked is None or time.monotonic() < locked):
            locked = locked or time.monotonic() + LOCKED
            time.sleep(0.5)
        else:
            print(f"exit {status}, and nothing was killed in this run:\n{output[-4000:]}")
            return 1
    print(f"the command has not succeeded after {RUNS} runs")
    return 1


if __name__ == "__main__":
    sys.exit(main())
