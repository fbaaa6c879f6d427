"""failures.py: the kind of failure that a request met, and the line that a probe logs for it. Imported, never run.

A line is `BEGUN ENDED KIND TIME WHAT: WORDS`: both moments in seconds since 1970, which all hosts of a lab share because they are containers
of one machine; the time of day at the begin, for people; and the error, or the first words of the answer. The kinds:

timeout      the limit that the probe itself sets was over
refused      nobody listened
unreachable  no way to the address, or the system gave up
reset        the connection was broken
torn         the answer, or the agreement on encryption, ended early or never began
status-NNN   a whole answer with another status than wanted
slow         of a control request alone: answered, and late
other        whatever else
"""

import asyncio
import collections
import errno
import http.client
import json
import pathlib
import ssl
import time

WORDS = 200  # letters kept of what an answer says
NO_WAY = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.ETIMEDOUT}

Failure = collections.namedtuple("Failure", "begun ended kind words")


def kind_of(error):
    """A time-out of the system's own has a number, and one of the probe's limit has none."""
    if isinstance(error, OSError) and error.errno in NO_WAY:
        return "unreachable"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return "timeout"
    # RemoteDisconnected is a ConnectionResetError as well, although the server closed in good order.
    if isinstance(error, (http.client.HTTPException, ssl.SSLEOFError, ssl.SSLZeroReturnError, asyncio.IncompleteReadError)):
        return "torn"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return "reset"
    return "other"


def words_of(body):
    """The message of an API server's answer, or the beginning of any other one, on one line."""
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
    """Every failure of a log. A line that is none is an error: what cannot be read cannot be counted."""
    out = []
    for text in pathlib.Path(path).read_text().splitlines():
        begun, ended, kind, words = text.split(" ", 3)
        out.append(Failure(float(begun), float(ended), kind, words))
    return out
