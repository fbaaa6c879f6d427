#!/usr/bin/env python3
"""probe.py KUBECONFIG CONTROL FOLDER [RATE]: two probes in one event loop, with RATE requests a second each (default: 100), until SIGTERM. Every
request has a new connection and no retries, and a slow answer delays no other request.
api      reads one ConfigMap through the endpoint; every tenth request changes a ConfigMap of the probe instead.
control  sends requests to the web server CONTROL (a URL over plain HTTP), which runs on the same machine and is not part of the cluster. While its
         answers are late, the machine stood still.
In FOLDER, api.log and control.log get a line per failed request and per slow control request (failures.py), and at the end api.out and control.out
get a line
`requests N answered N failed N slow N p50-ms N p99-ms N p999-ms N longest-ms N stall-ms N rate N seconds N`, where stall is the longest time between
two answers, rate is the number of requests per second, and seconds ends with the last answer. Only control requests are counted as slow."""

import asyncio
import json
import os
import resource
import signal
import sys
import time
import urllib.parse

import failures
from writer import context_of, server_of

LIMIT = 10  # seconds a request may take
# If the time from when a control request is due until its answer is longer than this, in seconds, the machine stood still. At rest that time is
# some milliseconds. A packet that was dropped because a queue was full is sent again after 1 s, and the shortest time-out that is judged with this
# limit, that of the Service probe, is 3 s.
SLOW = 1.0
PATH = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
OWN = "/api/v1/namespaces/default/configmaps"
OBJECTS = 100  # number of ConfigMaps that are changed in turn


class Tally:
    """The results of the requests of one probe, and NAME.log and NAME.out in the folder."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        self.log = open(self.path + ".log", "w", buffering=1)
        self.begun, self.failed, self.slow, self.took = 0, 0, 0, []
        self.stall, self.last = 0.0, time.monotonic()

    def answered(self, took):
        now = time.monotonic()
        self.took.append(took)
        self.stall, self.last = max(self.stall, now - self.last), now

    def summary(self, sending, seconds):
        took = sorted(self.took)
        at = lambda part: int(1000 * took[min(len(took) - 1, int(part * len(took)))]) if took else -1
        return (
            f"requests {self.begun} answered {len(took)} failed {self.failed} slow {self.slow} p50-ms {at(0.5)} p99-ms {at(0.99)} "
            f"p999-ms {at(0.999)} longest-ms {at(1.0)} stall-ms {int(self.stall * 1000)} rate {self.begun / sending:.0f} seconds {seconds:.1f}"
        )

    def end(self, sending, seconds):
        with open(self.path + ".out", "w") as out:
            out.write(self.summary(sending, seconds) + "\n")


async def ask(url, context=None, method="GET", path="/", body=None):
    """Returns the status and the body of an answer, or None if the connection ended before an answer."""
    reader, writer = await asyncio.open_connection(url.hostname, url.port or 80, ssl=context)
    try:
        content = json.dumps(body).encode() if body else b""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        more = f"Content-Type: {kind}\r\nContent-Length: {len(content)}\r\n" if body else ""
        writer.write(f"{method} {path} HTTP/1.0\r\nHost: {url.hostname}\r\n{more}\r\n".encode() + content)
        await writer.drain()
        # Reads until the server closes the connection: the whole answer must arrive and not only its first line. HTTP/1.0 has no chunked encoding.
        head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return (head.decode().split(" ")[1], rest) if b" " in head else None
    finally:
        # After a failure, this closes the socket at once, because there may be thousands of sockets. After an answer, the socket is closed already.
        writer.transport.abort()


async def measured(tally, what, due, request, whole, slow=None):
    """Makes one request and records its result. `due` is the monotonic time at which the request should begin: if the event loop stood still and the
    request begins late, the delay counts. `whole` returns whether the body of an answer with status 200 is complete. An answer after more than `slow`
    seconds is logged as slow; None means that no answer is."""
    tally.begun += 1
    try:
        answer = await asyncio.wait_for(request, LIMIT)
        if answer is None:
            kind, words = "torn", "no answer"
        elif answer[0] != "200":
            kind, words = f"status-{answer[0]}", failures.words_of(answer[1])
        elif not whole(answer[1]):
            kind, words = "torn", f"after {len(answer[1])} bytes"
        else:
            kind, words = None, ""
    except Exception as e:  # any exception means a failed request
        kind, words = failures.kind_of(e), repr(e)
    took, ended = time.monotonic() - due, time.time()
    if kind is None:
        tally.answered(took)
        if slow is None or took <= slow:
            return
        tally.slow += 1
        kind, words = "slow", "answered"
    else:
        tally.failed += 1
    tally.log.write(failures.line(ended - took, ended, kind, what, words))


def before_others():
    """Raises the priority of this process and its limit of open files: if the probe waited for a processor or a free socket, it would measure
    itself."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    except PermissionError:
        pass
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def main():
    before_others()
    config, folder = sys.argv[1], sys.argv[3]
    server, control = urllib.parse.urlsplit(server_of(config)), urllib.parse.urlsplit(sys.argv[2])
    rate = float(sys.argv[4]) if len(sys.argv) > 4 else 100.0
    context, stop = context_of(config), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    # A ConfigMap that an earlier run left is used: the answer that it exists already is ignored.
    for at in range(OBJECTS):
        await asyncio.wait_for(ask(server, context, "POST", OWN, {"metadata": {"name": f"probe-{at}"}}), LIMIT)
    api_tally, control_tally, tasks = Tally(folder, "api"), Tally(folder, "control"), set()

    def api(number):
        # Changes are spread over many objects, because concurrent changes of one object wait for each other.
        method, path, body = ("GET", PATH, None)
        if number % 10 == 0:
            method, path, body = ("PATCH", f"{OWN}/probe-{number // 10 % OBJECTS}", {"data": {"number": str(number)}})
        request = ask(server, context, method, path, body)
        return measured(api_tally, f"{method} {number}", time.monotonic(), request, lambda body: body.rstrip().endswith(b"}"))

    def run(request):
        task = asyncio.create_task(request)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    begun, number = time.monotonic(), 0
    while not stop.is_set():
        due = begun + number / rate
        number += 1
        run(measured(control_tally, f"GET {control.path} {number}", due, ask(control, path=control.path), bool, SLOW))
        run(api(number))
        # The time at which a request is due is computed from the start and not from the previous request, so requests that begin late are made up
        # for.
        ahead = begun + number / rate - time.monotonic()
        await asyncio.sleep(max(0.0, ahead))
    sending = time.monotonic() - begun
    await asyncio.gather(*tasks)
    for tally in (api_tally, control_tally):
        tally.end(sending, time.monotonic() - begun)


asyncio.run(main())
