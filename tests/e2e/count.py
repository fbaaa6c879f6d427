#!/usr/bin/env python3
"""count.py [--leader-moves N] [--probes api,writer,service] FOLDER...: whether what the probes asked for failed, from their logs NAME.log and
last lines NAME.out in FOLDER. Of several folders each is judged, and the sum is told at the end. Exits with 1 where anything failed.

Every failed request counts, with two exceptions, and both are told:
set-aside     a time-out, and nothing but a time-out, during which the machine itself stood still: the control probe (probe.py) asks a web
              server that has nothing to do with the cluster, and a moment in which its answer was late lasts from when it should have asked to
              the answer. A control probe without answers excuses nothing: the count fails.
leader-moved  an answer by which etcd says that it lost a request, while leader.py saw its leadership move: at most N (0) of all probes
              together. Without answers to leader.py nothing is such an answer, and every one counts."""

import argparse
import collections
import os
import pathlib
import sys

import failures

# What etcd answers when its leadership moved, as an API server passes it on. A leader that hands its leadership over drops the proposals that
# reach it meanwhile: at once where they are its own, and without a word where another member forwarded them, which then waits 7 seconds.
LEADER_MOVED = ("etcdserver: leader changed", "etcdserver: request timed out", "raft proposal dropped")
LEARNED = 1.0  # seconds in which all members know of a move that one of them knows of
TOLD = 0.2  # share of a run above which it is said loudly that the machine stood still
USELESS = 0.5  # share above which the run proves nothing, whatever was answered
SHOWN = 5  # failures of a probe that are shown one by one
AROUND = 2.0  # seconds around a failure of which it is shown what the members of etcd told


class Bad(Exception):
    """Logs that cannot be counted."""


def summary(folder, name):
    """The numbers of a probe's last line, by their names."""
    path = os.path.join(folder, name + ".out")
    try:
        last = pathlib.Path(path).read_text().strip().splitlines()[-1].split()
        return {key: float(value) for key, value in zip(last[::2], last[1::2])}
    except (OSError, IndexError, ValueError) as e:
        raise Bad(f"{name}: no last line of the probe: {e!r}")


def logged(folder, name, numbers, lines):
    """Every failure in a probe's log, of which there must be as many as it said at the end, and an answer for every other request."""
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
    """The moments in which the machine stood still, in order and apart from each other."""
    out = []
    for f in sorted(f for f in log if f.kind in ("slow", "timeout")):
        if out and f.begun <= out[-1][1]:
            out[-1][1] = max(out[-1][1], f.ended)
        else:
            out.append([f.begun, f.ended])
    return out


def within(moments, f):
    """Seconds of a failed request during which the machine stood still."""
    return sum(max(0.0, min(f.ended, end) - max(f.begun, begin)) for begin, end in moments)


def judgement(f, moments, moves):
    """Of a failed request: `set-aside`, `leader-moved`, or its kind, which counts."""
    if f.kind == "timeout" and within(moments, f) > 0:
        return "set-aside"
    if f.kind.startswith("status-5") and any(words in f.words for words in LEADER_MOVED):
        if any(f.begun <= end + LEARNED and f.ended >= begin - LEARNED for begin, end in moves):
            return "leader-moved"
    return f.kind


def told(name, requests, kinds):
    """The one line of a probe."""
    counted = {kind: n for kind, n in sorted(kinds.items()) if kind not in ("set-aside", "leader-moved")}
    by_kind = f" ({', '.join(f'{kind} {n}' for kind, n in counted.items())})" if counted else ""
    return (
        f"{name}: requests {requests} failed {sum(counted.values())}{by_kind} "
        f"leader-moved {kinds['leader-moved']} set-aside {kinds['set-aside']}"
    )


class Count:
    """What is known of one run, or of the sum of several: requests and judgements by probe, and reasons why it fails."""

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
    """The moments in which the machine stood still, as the control probe knows them."""
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
    """Of each move of etcd's leadership, when the previous leader was last seen and when the new one first was. None where nobody looked."""
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
    """What the members of etcd told around a failed request, as leader.py noted it."""
    try:
        lines = pathlib.Path(folder, "views.log").read_text().splitlines()
        return [line for line in lines if f.begun - AROUND <= float(line.split()[0]) <= f.ended + AROUND]
    except (OSError, ValueError, IndexError):
        return []


def counted(folder, probes, leader_moves, say):
    """One run."""
    count = Count()
    try:
        moves = moved(folder, say)
    except Bad as e:
        count.bad.append(f"{e}")
        moves = []
    try:
        moments = control(folder, count, say)
    except (Bad, KeyError) as e:
        # The others are told all the same.
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
        # What counts is shown before what does not.
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
