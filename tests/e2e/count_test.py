#!/usr/bin/env python3
"""count_test.py: tests without a lab that failures count, that little else is set aside, and that a probe without answers excuses no failure."""

import asyncio
import errno
import http.client
import os
import socket
import ssl
import subprocess
import tempfile
import unittest

import count
import failures
import leader

HERE = os.path.dirname(os.path.abspath(__file__))
MOVED = "etcdserver: leader changed"
LOST = "etcdserver: request timed out"
DROPPED = "rpc error: code = Unknown desc = raft proposal dropped"
SUSPECTED = "rpc error: etcdserver: request timed out, possibly due to previous leader failure"


class Run(unittest.TestCase):
    """Tests the judgement of one run of 100 seconds that begins at second 1000. Unless a test changes this, every probe has a hundred answers and no
    failure."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.said = []
        for name in ("control", "api", "writer", "service"):
            self.probe(name)

    def file(self, name, text):
        with open(os.path.join(self.folder, name), "w") as out:
            out.write(text)

    def probe(self, name, *lines, answered=100):
        """Writes NAME.log and NAME.out of a probe with these failures. Each is (BEGUN, ENDED, KIND), optionally with the words as a fourth
        element."""
        self.file(name + ".log", "".join(failures.line(*f[:3], "GET 1", f[3] if len(f) > 3 else "words") for f in lines))
        slow = sum(f[2] == "slow" for f in lines)
        failed = len(lines) - slow
        word = "acknowledged" if name == "writer" else "answered"
        self.file(name + ".out", f"requests {answered + failed} {word} {answered} failed {failed} slow {slow} p50-ms 3 seconds 100.0\n")

    def leader(self, *moves, answered=100):
        """Writes leader.log and leader.out with these moves of the leadership. Each is a pair: when the previous leader was last seen, and when the
        new leader was first seen."""
        self.file("leader.log", "".join(f"{begin:.3f} {end:.3f} 7 abc\n" for begin, end in moves))
        self.file("leader.out", f"requests {answered} answered {answered} failed 0 moves {len(moves)}\n")

    def judged(self, *arguments):
        self.said = []
        return count.main([*arguments, self.folder], self.said.append)

    def passes(self, *arguments):
        self.assertEqual(self.judged(*arguments), 0, self.said)

    def fails(self, *arguments):
        self.assertEqual(self.judged(*arguments), 1, self.said)

    def says(self, text):
        self.assertTrue(any(text in line for line in self.said), self.said)

    def test_without_a_failure(self):
        self.passes()
        self.says("api: requests 100 failed 0 leader-moved 0 set-aside 0")
        self.says("control: requests 100 failed 0; the machine stood still 0 times, 0.0 s in all, 0 % of the run")

    def test_one_failure_of_each_kind_in_a_million_requests(self):
        for kind in ("timeout", "refused", "unreachable", "reset", "torn", "status-500", "status-503", "status-404", "other"):
            for name in ("api", "writer", "service"):
                with self.subTest(kind=kind, probe=name):
                    self.probe(name, (1010, 1011, kind), answered=1000000)
                    self.fails()
                    self.says(f"{name}: requests 1000001 failed 1 ({kind} 1) leader-moved 0 set-aside 0")
                    self.probe(name)

    def test_a_time_out_while_the_machine_stood_still_is_set_aside(self):
        self.probe("control", (1010, 1013, "slow"), (1010.5, 1012, "slow"))
        for name in ("api", "writer", "service"):
            self.probe(name, (1011, 1021, "timeout"), (1012.5, 1015, "timeout"))
        self.passes()
        self.says("service: requests 102 failed 0 leader-moved 0 set-aside 2")
        self.says("set-aside, 2.0 s of it the machine stood still")

    def test_a_control_request_without_an_answer_marks_its_time(self):
        self.probe("control", (1010, 1020, "timeout"))
        self.probe("api", (1019, 1029, "timeout"))
        self.passes()
        self.says("control: requests 101 failed 1 (timeout 1); the machine stood still 1 times, 10.0 s in all, 10 % of the run")

    def test_a_time_out_outside_of_such_a_moment_counts(self):
        self.probe("control", (1010, 1013, "slow"), (1060, 1062, "slow"))
        for begun, ended in ((1000, 1009.9), (1013.1, 1023.1), (1013, 1060), (1070, 1080)):
            self.probe("api", (begun, ended, "timeout"))
            self.fails()
            self.says("failed 1 (timeout 1) leader-moved 0 set-aside 0")

    def test_all_other_failures_count_while_the_machine_stands_still(self):
        self.probe("control", (1010, 1020, "slow"))
        for kind in ("refused", "unreachable", "reset", "torn", "status-500", "status-504", "other"):
            with self.subTest(kind=kind):
                self.probe("api", (1012, 1013, kind), (1012, 1022, "timeout"))
                self.fails()
                self.says(f"api: requests 102 failed 1 ({kind} 1) leader-moved 0 set-aside 1")

    def test_a_control_request_that_was_refused_marks_nothing(self):
        self.probe("control", (1010, 1020, "refused"), (1010, 1020, "reset"), (1010, 1020, "status-404"))
        self.probe("api", (1011, 1019, "timeout"))
        self.fails()
        self.says("control: requests 103 failed 3 (refused 1, reset 1, status-404 1); the machine stood still 0 times")

    def test_a_control_probe_without_answers_excuses_nothing(self):
        for answered in (0, 1):
            self.probe("control", (1000, 1010, "timeout"), answered=answered)
            self.probe("api", (1001, 1009, "timeout"))
            (self.passes if answered else self.fails)()
        self.probe("control", answered=0)
        self.probe("api")
        self.fails()
        for name in ("control.out", "control.log"):
            self.probe("control")
            os.remove(os.path.join(self.folder, name))
            self.fails()

    def test_a_machine_that_stands_still_is_told_and_then_proves_nothing(self):
        self.probe("control", (1010, 1020, "slow"), (1015, 1029, "slow"))
        self.passes()
        self.assertFalse(any("NOTE" in line for line in self.said))
        self.probe("control", (1010, 1020, "slow"), (1015, 1031, "slow"))
        self.passes()
        self.says("NOTE: the machine stood still for 21 % of the run")
        self.probe("control", (1010, 1061, "slow"))
        self.fails()
        self.says("FAILED: the machine stood still for 51 % of the run")

    def test_moved_leadership_has_a_bound_for_all_probes_together(self):
        self.leader((1010.4, 1010.6))
        self.probe("api", (1010, 1011, "status-500", MOVED), (1010.5, 1017.5, "status-500", LOST))
        self.fails()
        self.fails("--leader-moves", "1")
        self.passes("--leader-moves", "2")
        self.says("leader: requests 100 failed 0; etcd's leadership moved 1 times")
        self.says("api: requests 102 failed 0 leader-moved 2 set-aside 0")
        self.probe("writer", (1010, 1011, "status-500", DROPPED))
        self.fails("--leader-moves", "2")
        self.says("FAILED: leader-moved 3, and 2 may be")

    def test_only_such_answers_are_moved_leadership(self):
        self.leader((1010.4, 1010.6))
        for kind, words in (("status-500", "etcdserver: no space"), ("status-409", MOVED), ("torn", MOVED), ("timeout", LOST)):
            with self.subTest(kind=kind, words=words):
                self.probe("api", (1010, 1011, kind, words))
                self.fails("--leader-moves", "2")
                self.says(f"failed 1 ({kind} 1) leader-moved 0")

    def test_such_an_answer_counts_where_nobody_saw_the_leadership_move(self):
        for moves in ((), ((1000, 1000.1), (1030, 1030.1))):
            for words in (MOVED, LOST, SUSPECTED, DROPPED):
                with self.subTest(moves=moves, words=words):
                    self.leader(*moves)
                    self.probe("api", (1010, 1017, "status-500", words))
                    self.fails("--leader-moves", "2")
                    self.says("failed 1 (status-500 1) leader-moved 0")
        # For a second after a move, an answer counts as `leader-moved`, because other members may not know of the move yet.
        self.leader((1017.8, 1018))
        self.passes("--leader-moves", "1")
        os.remove(os.path.join(self.folder, "leader.log"))
        self.fails("--leader-moves", "1")
        self.leader((1011, 1012), (1013, 1014))
        self.file("leader.out", "requests 9 answered 9 failed 0 moves 1\n")
        self.fails("--leader-moves", "1")
        os.remove(os.path.join(self.folder, "leader.out"))
        self.fails("--leader-moves", "1")

    def test_what_the_members_told_around_such_an_answer_is_shown(self):
        self.leader()
        self.file("views.log", "1007.9 url 6 a\n1008.5 url 7 b\n1012 url - -\n1013.5 url 7 b\n")
        self.probe("api", (1010, 1011, "status-500", MOVED))
        self.fails("--leader-moves", "2")
        self.assertEqual([line.split(": ", 1)[1] for line in self.said if "a member told" in line], ["1008.5 url 7 b", "1012 url - -"])

    def test_what_does_not_fit_together_fails(self):
        for text in ("", "requests 0 answered 0 failed 0\n", "requests 9 answered 8 failed 1\n", "requests 9 answered 8 failed 0\n", "requests 9\n"):
            with self.subTest(text=text):
                self.file("api.out", text)
                self.fails()
        os.remove(os.path.join(self.folder, "api.out"))
        self.fails()
        self.probe("api")
        self.file("api.log", "bash: something else\n")
        self.fails()
        self.probe("api")
        os.remove(os.path.join(self.folder, "service.log"))
        self.fails()
        self.passes("--probes", "api,writer")

    def test_several_runs_are_summed(self):
        with tempfile.TemporaryDirectory() as other:
            self.probe("api", (1010, 1011, "refused"), (1010, 1011, "reset"))
            for name in os.listdir(self.folder):
                os.link(os.path.join(self.folder, name), os.path.join(other, name))
            self.fails(other)
            self.says("sum of 2: api: requests 204 failed 4 (refused 2, reset 2) leader-moved 0 set-aside 0")
            self.says("sum of 2: writer: requests 200 failed 0 leader-moved 0 set-aside 0")


class Leadership(unittest.TestCase):
    """Tests which moves of the leadership are found from what the etcd members report."""

    def moves(self, *told):
        """Returns (BEGUN, ENDED) of each move that is found. Each of `told` is (MEMBER, TERM, LEADER), the report of one member; one report comes per
        second, from second 0 on."""
        leadership, found = leader.Leadership(), []
        for now, (member, term, lead) in enumerate(told):
            begun = leadership.told_by(member, term, lead, now)
            if begun is not None:
                found.append((begun, now))
        return found

    def test_no_move(self):
        self.assertEqual(self.moves(("x", 7, 1), ("y", 7, 1), ("x", 7, 1)), [])

    def test_a_move_is_seen_whether_the_term_is_told_with_the_leader_or_after_it(self):
        self.assertEqual(self.moves(("x", 7, 1), ("x", 8, 2)), [(0, 1)])
        self.assertEqual(self.moves(("x", 7, 1), ("x", 7, 2), ("x", 8, 2), ("y", 8, 2)), [(0, 1)])
        self.assertEqual(self.moves(("x", 7, 1), ("y", 7, 2), ("x", 8, 2)), [(0, 1)])

    def test_a_member_that_lags_behind_moves_nothing(self):
        self.assertEqual(self.moves(("x", 7, 1), ("y", 7, 1), ("x", 8, 2), ("y", 7, 1), ("y", 8, 2), ("x", 8, 2)), [(1, 2)])

    def test_a_leadership_that_moves_back_moved_twice(self):
        self.assertEqual(self.moves(("y", 7, 1), ("x", 8, 2), ("y", 9, 1), ("x", 9, 1)), [(0, 1), (1, 2)])
        self.assertEqual(self.moves(("x", 7, 1), ("x", 8, 2), ("x", 9, 1)), [(0, 1), (1, 2)])

    def test_an_election_that_the_same_member_wins_again_is_a_move(self):
        self.assertEqual(self.moves(("x", 7, 1), ("y", 8, 1), ("x", 8, 1)), [(0, 1)])
        self.assertEqual(self.moves(("x", 7, 1), ("x", 7, 2), ("x", 8, 2), ("x", 9, 2)), [(0, 1), (2, 3)])


class Kinds(unittest.TestCase):
    """Tests the kind and the words that probes log for a failure."""

    def test_errors(self):
        for error, kind in (
            (TimeoutError(), "timeout"),
            (asyncio.TimeoutError(), "timeout"),
            (socket.timeout("The handshake operation timed out"), "timeout"),
            (OSError(errno.ETIMEDOUT, "the system's own"), "unreachable"),
            (OSError(errno.EHOSTUNREACH, "No route to host"), "unreachable"),
            (ConnectionRefusedError(errno.ECONNREFUSED, ""), "refused"),
            (ConnectionResetError(errno.ECONNRESET, ""), "reset"),
            (ConnectionAbortedError(), "reset"),
            (BrokenPipeError(errno.EPIPE, ""), "reset"),
            (http.client.RemoteDisconnected(""), "torn"),
            (http.client.IncompleteRead(b""), "torn"),
            (ssl.SSLEOFError(), "torn"),
            (ssl.SSLCertVerificationError(), "other"),
            (OSError(errno.EMFILE, "Too many open files"), "other"),
            (ValueError(), "other"),
        ):
            self.assertEqual(failures.kind_of(error), kind, repr(error))

    def test_words_of_an_answer(self):
        self.assertEqual(failures.words_of(b'{"kind":"Status","message":"etcdserver:\\nleader changed","code":500}'), MOVED)
        self.assertEqual(failures.words_of(b"<html>\n  busy"), "<html> busy")
        self.assertEqual(failures.words_of(b"[]"), "[]")
        self.assertEqual(len(failures.words_of(b"x" * 999)), failures.WORDS)

    def test_a_line_is_read_as_it_was_written(self):
        with tempfile.NamedTemporaryFile("w+") as log:
            log.write(failures.line(1000.25, 1002.5, "status-500", "GET 1", "two\nlines"))
            log.flush()
            (f,) = failures.read(log.name)
        self.assertEqual((f.begun, f.ended, f.kind), (1000.25, 1002.5, "status-500"))
        self.assertTrue(f.words.endswith("GET 1 after 2.25 s: two lines"), f.words)

    def test_the_service_probe_knows_what_curl_says(self):
        kinds = ((28, "timeout"), (7, "refused"), (56, "reset"), (52, "torn"), (18, "torn"), (22, "status-503"), (6, "other"))
        for status, kind in kinds:
            with self.subTest(status=status), tempfile.TemporaryDirectory() as folder:
                with open(os.path.join(folder, "curl"), "w") as curl:
                    curl.write(f"#!/bin/sh\necho 'curl: ({status}) words' >&2\nprintf 503\nexit {status}\n")
                os.chmod(curl.name, 0o755)
                probe = subprocess.Popen(
                    ["bash", os.path.join(HERE, "service-probe.sh"), "http://x"],
                    env={"PATH": f"{folder}:{os.environ['PATH']}"},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                first = probe.stderr.readline()
                probe.terminate()
                out, err = probe.communicate(timeout=20)
                with tempfile.NamedTemporaryFile("w+") as log:
                    log.write(first + err)
                    log.flush()
                    found = failures.read(log.name)
                self.assertEqual({f.kind for f in found}, {kind})
                self.assertIn(f"curl: ({status}) words", found[0].words)
                self.assertEqual(out, f"requests {len(found)} answered 0 failed {len(found)}\n")


if __name__ == "__main__":
    unittest.main()
