#!/usr/bin/env python3
"""probe.py KUBECONFIG LOG [RATE]: asks for one ConfigMap through the endpoint, RATE times a second (100), each time over a new TLS connection
and without retries, until it is told to stop (SIGTERM); every tenth time it changes a ConfigMap of its own instead. A slow answer holds up
no other request. LOG gets one line per failed request; the last line printed is
`requests N failed N p50-ms N p99-ms N p999-ms N longest-ms N stall-ms N rate N`, where a stall is the time between two answers."""

import asyncio
import json
import os
import signal
import sys
import time
import urllib.parse

from writer import context_of, server_of

LIMIT = 10  # seconds a request may take
PATH = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
OWN = "/api/v1/namespaces/default/configmaps"
OBJECTS = 100  # changed in turn


async def ask(host, port, context, method="GET", path=PATH, body=None):
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        content = json.dumps(body).encode() if body else b""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        more = f"Content-Type: {kind}\r\nContent-Length: {len(content)}\r\n" if body else ""
        writer.write(f"{method} {path} HTTP/1.0\r\nHost: {host}\r\n{more}\r\n".encode() + content)
        await writer.drain()
        # The whole answer counts, not its first line: all of its JSON. (1.0 knows no chunks.)
        head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
        if b" " not in head:
            return "no answer"
        if not rest.rstrip().endswith(b"}"):
            return f"torn after {len(rest)} bytes"
        return head.decode().split(" ")[1]
    finally:
        writer.close()


def before_others():
    """A probe that waits for a processor would measure itself."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    except PermissionError:
        pass


async def main():
    before_others()
    config, log = sys.argv[1], open(sys.argv[2], "w", buffering=1)
    rate = float(sys.argv[3]) if len(sys.argv) > 3 else 100.0
    url = urllib.parse.urlsplit(server_of(config))
    context, stop = context_of(config), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    # Left from an earlier run it does as well.
    for at in range(OBJECTS):
        await ask(url.hostname, url.port, context, "POST", OWN, {"metadata": {"name": f"probe-{at}"}})
    took, failed, stall, last = [], 0, 0.0, time.monotonic()

    async def one(number):
        nonlocal failed, stall, last
        begun = time.monotonic()
        try:
            # One after another's number on an object of its own: many changes of one object at once only wait for each other.
            change = ("PATCH", f"{OWN}/probe-{number // 10 % OBJECTS}", {"data": {"number": str(number)}}) if number % 10 == 0 else ()
            status = await asyncio.wait_for(ask(url.hostname, url.port, context, *change), LIMIT)
            why = None if status == "200" else status
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as e:
            why = repr(e)
        now = time.monotonic()
        if why is None:
            took.append(now - begun)
            stall, last = max(stall, now - last), now
        else:
            failed += 1
            log.write(f"{time.strftime('%H:%M:%S')} request {number} after {now - begun:.2f} s: {why}\n")

    begun, number, tasks = time.monotonic(), 0, set()
    while not stop.is_set():
        number += 1
        task = asyncio.create_task(one(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        # By the clock, not by the last request: what is late is made up for.
        ahead = begun + number / rate - time.monotonic()
        await asyncio.sleep(max(0.0, ahead))
    spent = time.monotonic() - begun
    await asyncio.gather(*tasks)
    took.sort()
    at = lambda part: int(1000 * took[min(len(took) - 1, int(part * len(took)))]) if took else -1
    print(
        f"requests {number} failed {failed} p50-ms {at(0.5)} p99-ms {at(0.99)} p999-ms {at(0.999)} longest-ms {at(1.0)} "
        f"stall-ms {int(stall * 1000)} rate {number / spent:.0f}",
        flush=True,
    )


asyncio.run(main())
