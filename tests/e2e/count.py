#!/usr/bin/env python3
"""count.py [--leader-moves N] [--probes api,writer,service] FOLDER...: reports whether requests of the probes failed, from their logs NAME.log and
the last lines of NAME.out in FOLDER. Each of several folders is judged, and the sum is printed at the end. Exits with 1 if a request failed or if the
logs of a folder cannot be judged.

Every failed request counts, with two exceptions, which are printed:
set-aside     a time-out, and no other failure, during which the machine itself stood still. The control probe (probe.py) sends requests to a web
              server that is not part of the cluster. If an answer is late, the machine stood still from the moment at which the request was due
              until the answer. If the control probe has no answers, nothing is set aside and the count fails.
leader-moved  an answer with which etcd reports that it lost a request, while leader.py saw the leadership move. At most N (default: 0) such
              answers of all probes together are allowed. If leader.py has no answers, every such answer counts as a failure."""

import argparse
import collections
import os
import pathlib
import sys

import failures

# The messages of etcd when its leadership moves, as an API server passes them on. A leader that transfers its leadership drops the proposals that
# it gets meanwhile. For its own proposals it answers at once; for proposals that another member forwarded it does not answer, and that member waits
# 7 seconds.
LEADER_MOVED = ("etcdserver: leader changed", "etcdserver: request timed out", "raft proposal dropped")
LEARNED = 1.0  # seconds until all etcd members know of a move of the leadership that one of them has reported
TOLD = 0.2  # if the machine stood still for more than this share of a run, from 0 to 1, a note is printed
USELESS = 0.5  # if the machine stood still for more than this share, the run proves nothing, so the count fails
SHOWN = 5  # number of failures of a probe that are shown one by one
AROUND = 2.0  # seconds before and after a failure for which the reports of the etcd members are shown


class Bad(Exception):
    """The logs of a run cannot be judged; the message is the reason."""


def summary(folder, name):
    """Returns the numbers in the last line of NAME.out, by the word before each of them."""
    path = os.path.join(folder, name + ".out")
    try:
        last = pathlib.Path(path).read_text().strip().splitlines()[-1].split()
        return {key: float(value) for key, value in zip(last[::2], last[1::2])}
    except (OSError, IndexError, ValueError) as e:
        raise Bad(f"{name}: no last line of the probe: {e!r}")


def logged(folder, name, numbers, lines):
    """Returns the failures in NAME.log, which has a line for each request that `numbers`, the last line of NAME.out, counts under one of the words in
    `lines`. Raises Bad if the number of lines differs, or if answered and failed requests are not all requests."""
    try:
        found = failures.read(os.path.join(folder, name + ".log"))
    except (OSError, ValueError) as e:
        raise Bad(f"{name}: its log cannot be read: {e!r}")
    try:
        answered = numbers.get("answered", numbers.get("acknowledged", -1))
        if len(found) != sum(numbers[key] for key in lines) or answered + numbers["failed"] != numbers["requests"]:
            raise Bad(f"{name}: its log has {len(found)} lines, which does not fit its last line")
    except KeyError as e:
        raise Bad(f"{name}: its last line has no number of {e}")
    return found


def still(log):
    """Returns the intervals in which the machine stood still, in order and without overlaps: from the beginning to the end of each control request
    that was slow or timed out."""
    out = []
    for f in sorted(f for f in log if f.kind in ("slow", "timeout")):
        if out and f.begun <= out[-1][1]:
            out[-1][1] = max(out[-1][1], f.ended)
        else:
            out.append([f.begun, f.ended])
    return out


def within(moments, f):
    """Returns for how many seconds of the failed request `f` the machine stood still; `moments` are the intervals that `still` returns."""
    return sum(max(0.0, min(f.ended, end) - max(f.begun, begin)) for begin, end in moments)


def judgement(f, moments, moves):
    """Returns `set-aside` or `leader-moved` for a failure that does not count, and the kind of the failure if it counts. `moments` are the intervals
    that `still` returns, and `moves` are those that `moved` returns."""
    if f.kind == "timeout" and within(moments, f) > 0:
        return "set-aside"
    if f.kind.startswith("status-5") and any(words in f.words for words in LEADER_MOVED):
        if any(f.begun <= end + LEARNED and f.ended >= begin - LEARNED for begin, end in moves):
            return "leader-moved"
    return f.kind


def told(name, requests, kinds):
    """Returns the summary line of a probe; `kinds` has the number of failures by the result of `judgement`."""
    counted = {kind: n for kind, n in sorted(kinds.items()) if kind not in ("set-aside", "leader-moved")}
    by_kind = f" ({', '.join(f'{kind} {n}' for kind, n in counted.items())})" if counted else ""
    return (
        f"{name}: requests {requests} failed {sum(counted.values())}{by_kind} "
        f"leader-moved {kinds['leader-moved']} set-aside {kinds['set-aside']}"
    )


class Count:
    """The result of one run or of several. By the name of the probe, `requests` has the number of requests, and `kinds` the number of failures by the
    result of `judgement`. `bad` has the reasons, other than failed requests, why the count fails."""

    def __init__(self):
        self.requests, self.kinds, self.bad = collections.Counter(), collections.defaultdict(collections.Counter), []

    def lines(self):
        return [told(name, self.requests[name], kinds) for name, kinds in self.kinds.items()]

    def failed(self):
        return sum(n for kinds in self.kinds.values() for kind, n in kinds.items() if kind not in ("set-aside", "leader-moved"))

    def leader_moved(self):
        return sum(kinds["leader-moved"] for kinds in self.kinds.values())

    def add(self, other):
        self.requests += other.requests
        for name, kinds in other.kinds.items():
            self.kinds[name] += kinds
        self.bad += other.bad


def control(folder, count, say):
    """Returns the intervals in which the machine stood still, from the log of the control probe. Prints a summary, and adds a reason to `count.bad`
    if these intervals are too much of the run."""
    numbers = summary(folder, "control")
    log = logged(folder, "control", numbers, ("failed", "slow"))
    if numbers["answered"] < 1:
        raise Bad("control: not one answer, so nothing is known about the machine and nothing can be set aside")
    moments = still(log)
    stood = sum(end - begun for begun, end in moments)
    share = stood / max(numbers["seconds"], 0.001)
    kinds = collections.Counter(f.kind for f in log if f.kind != "slow")
    by_kind = f" ({', '.join(f'{kind} {n}' for kind, n in sorted(kinds.items()))})" if kinds else ""
    say(
        f"control: requests {numbers['requests']:.0f} failed {numbers['failed']:.0f}{by_kind}; the machine stood still {len(moments)} times, "
        f"{stood:.1f} s in all, {100 * share:.0f} % of the run"
    )
    if share > USELESS:
        count.bad.append(f"the machine stood still for {100 * share:.0f} % of the run: it proves nothing")
    elif share > TOLD:
        say(f"NOTE: the machine stood still for {100 * share:.0f} % of the run: what was set aside in it hides much")
    return moments


def moved(folder, say):
    """Returns for each move of the leadership of etcd when the previous leader was last seen and when the new one was first seen. The list is empty
    if leader.py did not run."""
    try:
        log = pathlib.Path(folder, "leader.log").read_text().splitlines()
        moves = [tuple(float(moment) for moment in line.split()[:2]) for line in log]
        numbers = summary(folder, "leader")
        if len(moves) != numbers["moves"] or any(len(move) != 2 for move in moves):
            raise Bad(f"leader: its log has {len(moves)} lines, which does not fit its last line")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError) as e:
        raise Bad(f"leader: its log cannot be read: {e!r}")
    say(f"leader: requests {numbers['requests']:.0f} failed {numbers['failed']:.0f}; etcd's leadership moved {len(moves)} times")
    return moves


def views(folder, f):
    """Returns what the etcd members reported shortly before and after a failed request, from the log of leader.py."""
    try:
        lines = pathlib.Path(folder, "views.log").read_text().splitlines()
        return [line for line in lines if f.begun - AROUND <= float(line.split()[0]) <= f.ended + AROUND]
    except (OSError, ValueError, IndexError):
        return []


def counted(folder, probes, leader_moves, say):
    """Judges the logs of one run, prints the result and the first failures of each probe, and returns a Count. At most `leader_moves` failures may be
    `leader-moved`."""
    count = Count()
    try:
        moves = moved(folder, say)
    except Bad as e:
        count.bad.append(f"{e}")
        moves = []
    try:
        moments = control(folder, count, say)
    except (Bad, KeyError) as e:
        # Without the control probe, nothing is set aside. The other probes are judged nevertheless.
        count.bad.append(f"{e}")
        moments = []
    for name in probes:
        try:
            numbers = summary(folder, name)
            log = logged(folder, name, numbers, ("failed",))
            if numbers["requests"] < 1:
                raise Bad(f"{name}: it asked for nothing")
        except Bad as e:
            count.bad.append(str(e))
            continue
        verdicts = [(judgement(f, moments, moves), f) for f in log]
        count.requests[name] = int(numbers["requests"])
        count.kinds[name] = collections.Counter(verdict for verdict, _ in verdicts)
        say(told(name, count.requests[name], count.kinds[name]))
        # Failures that count are shown before those that do not.
        for verdict, f in sorted(verdicts, key=lambda v: (v[0] in ("set-aside", "leader-moved"), v[1].begun))[:SHOWN]:
            beside = f", {within(moments, f):.1f} s of it the machine stood still" if verdict == "set-aside" else ""
            say(f"    {verdict}{beside}: {f.words}")
            if any(words in f.words for words in LEADER_MOVED):
                for line in views(folder, f):
                    say(f"        a member told: {line}")
    if count.leader_moved() > leader_moves:
        count.bad.append(f"leader-moved {count.leader_moved()}, and {leader_moves} may be")
    return count


def main(arguments, say=print):
    parser = argparse.ArgumentParser()
    parser.add_argument("--leader-moves", type=int, default=0)
    parser.add_argument("--probes", default="api,writer,service")
    parser.add_argument("folder", nargs="+")
    args = parser.parse_args(arguments)
    total = Count()
    for folder in args.folder:
        if len(args.folder) > 1:
            say(f"{os.path.basename(folder)}:")
        count = counted(folder, args.probes.split(","), args.leader_moves, say)
        for reason in count.bad:
            say(f"FAILED: {reason}")
        total.add(count)
    if len(args.folder) > 1:
        for text in total.lines():
            say(f"sum of {len(args.folder)}: {text}")
    return 1 if total.bad or total.failed() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
