#!/usr/bin/env python3
"""leader.py CERTIFICATES FOLDER URL...: asks the etcd members at these client URLs in turn, twenty times a second, which member leads, until SIGTERM.
CERTIFICATES is a folder with ca.crt, client.crt and client.key. In FOLDER, leader.log gets a line `BEGUN ENDED TERM MEMBER` for each move of the
leadership. BEGUN and ENDED are in seconds since 1970: when the previous leader was last seen, and when the new one was first seen. TERM is the raft
term, MEMBER the member's ID. views.log gets a line `MOMENT URL TERM MEMBER` for each change in what one member reports, with `- -` if the member has
no answer or no leader. At the end, leader.out gets a line `requests N answered N failed N moves N`."""

import http.client
import json
import os
import signal
import ssl
import sys
import time
import urllib.parse

PERIOD = 0.05  # seconds between two requests
LIMIT = 1  # seconds a request may take


class Member:
    """One etcd member. All requests to it use one connection, which is opened again after a failure."""

    def __init__(self, url, context):
        at = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPSConnection(at.hostname, at.port, timeout=LIMIT, context=context)

    def leader(self):
        """Returns the raft term and the leader's ID as this member reports them, or None if it has no answer or no leader."""
        try:
            # The JSON gateway of etcd 3.4 and later gives the same answer as `etcdctl endpoint status`.
            self.connection.request("POST", "/v3/maintenance/status", b"{}")
            answer = json.loads(self.connection.getresponse().read())
            found = int(answer["raftTerm"]), int(answer.get("leader", 0))
            return found if found[1] else None
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            self.connection.close()
            return None


class Leadership:
    """The leadership, from the reports of all members together.

    In an answer to `status`, the leader is the present one of raft, and the raft term is that of the last applied entry. So a new leader is first
    reported with the previous term and a moment later with the new one, and a member that lags behind still reports the previous leader.
    """

    def __init__(self):
        self.leader, self.term, self.seen = None, 0, 0.0  # the leader's ID; the highest reported term; when the leader was last reported
        self.told = {}  # the leader that each member reported last
        self.awaited = False  # whether the leader was reported with the previous term, so that its own, higher term is still to be reported

    def told_by(self, member, term, leader, now):
        """Records that a member reported this raft term and leader at this moment. Returns when the previous leader was last seen if the leadership
        has moved, and None otherwise."""
        before, self.told[member] = self.told.get(member), leader
        begun = None
        if self.leader is None:
            self.leader = leader
        elif leader != self.leader and (leader != before or term > self.term):
            begun, self.leader, self.awaited = self.seen, leader, term <= self.term
        elif leader == self.leader and term > self.term:
            # A higher term with the same leader means that the same member has won another election, unless it is the awaited term of a move that was
            # found before.
            begun, self.awaited = (None if self.awaited else self.seen), False
        self.term = max(self.term, term)
        if leader == self.leader:
            self.seen = now
        return begun


def main():
    certificates, folder, urls = sys.argv[1], sys.argv[2], sys.argv[3:]
    context = ssl.create_default_context(cafile=os.path.join(certificates, "ca.crt"))
    context.load_cert_chain(os.path.join(certificates, "client.crt"), os.path.join(certificates, "client.key"))
    members = [Member(url, context) for url in urls]
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    requests, answered, moves, leadership, views = 0, 0, 0, Leadership(), {}
    with (
        open(os.path.join(folder, "leader.log"), "w", buffering=1) as log,
        open(os.path.join(folder, "views.log"), "w", buffering=1) as viewed,
    ):
        while not stop:
            url = urls[requests % len(urls)]
            found = members[requests % len(members)].leader()
            requests += 1
            now = time.time()
            if views.get(url, ()) != found:
                views[url] = found
                viewed.write(f"{now:.3f} {url} " + (f"{found[0]} {found[1]:x}\n" if found else "- -\n"))
            if found:
                answered += 1
                begun = leadership.told_by(url, *found, now)
                if begun is not None:
                    moves += 1
                    log.write(f"{begun:.3f} {now:.3f} {leadership.term} {leadership.leader:x}\n")
            time.sleep(PERIOD)
    with open(os.path.join(folder, "leader.out"), "w") as out:
        out.write(f"requests {requests} answered {answered} failed {requests - answered} moves {moves}\n")


if __name__ == "__main__":
    main()
