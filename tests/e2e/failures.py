"""failures.py: the kinds of failures of a request, and the line that a probe logs for one. Imported, never run.

A line is `BEGUN ENDED KIND TIME WHAT: WORDS`. BEGUN and ENDED are seconds since 1970, which all hosts of a lab share because they are containers
of one machine. TIME is the time of day of BEGUN, for people who read the log. WHAT is the request and how long it took. WORDS are the error or the
beginning of the answer. The kinds:

timeout      the limit that the probe itself sets was reached
refused      no process listens
unreachable  there is no route to the address, or the operating system gave up the connection (ETIMEDOUT)
reset        the connection was reset
torn         the answer, or the TLS handshake, ended early or never began
status-NNN   a complete answer with another status than expected
slow         an answer that came late; only control requests of probe.py have this kind
other        any other failure
"""

import asyncio
import collections
import errno
import http.client
import json
import pathlib
import ssl
import time

WORDS = 200  # characters that are kept of an answer
NO_WAY = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.ETIMEDOUT}

Failure = collections.namedtuple("Failure", "begun ended kind words")


def kind_of(error):
    """Returns the kind of an error. A time-out of the operating system has an errno, so it is found before a time-out of the probe itself, which has
    none."""
    if isinstance(error, OSError) and error.errno in NO_WAY:
        return "unreachable"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return "timeout"
    # RemoteDisconnected is tested before its base class ConnectionResetError, because the server closed the connection and did not reset it.
    if isinstance(error, (http.client.HTTPException, ssl.SSLEOFError, ssl.SSLZeroReturnError, asyncio.IncompleteReadError)):
        return "torn"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return "reset"
    return "other"


def words_of(body):
    """Returns the message of an API server's answer, or the beginning of any other answer, on one line."""
    text = body.decode(errors="replace")
    try:
        text = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        pass
    return " ".join(str(text).split())[:WORDS]


def line(begun, ended, kind, what, words):
    day = time.strftime("%H:%M:%S", time.localtime(begun))
    return f"{begun:.3f} {ended:.3f} {kind} {day} {what} after {ended - begun:.2f} s: {' '.join(words.split())}\n"


def read(path):
    """Returns all failures of a log. A line with another format is an error, because it could not be counted."""
    out = []
    for text in pathlib.Path(path).read_text().splitlines():
        begun, ended, kind, words = text.split(" ", 3)
        out.append(Failure(float(begun), float(ended), kind, words))
    return out
