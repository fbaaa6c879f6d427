#!/usr/bin/env python3
"""writer.py KUBECONFIG LOG: creates numbered ConfigMaps through the endpoint, each over a new connection and without retries, until SIGTERM. Then it
reads all of them. LOG gets one line per failed request, see failures.py; the last line that is printed is
`requests N acknowledged N failed N missing N longest-silence-ms N`, where the silence is the time between two acknowledged requests."""

import base64
import http.client
import json
import re
import signal
import ssl
import sys
import tempfile
import time

import failures

PERIOD = 0.05  # seconds between two requests
LIMIT = 10  # seconds a request may take


def field(path, name):
    return re.search(rf"{name}: *\"?([^\s\"]+)", open(path).read()).group(1)


def server_of(path):
    return field(path, "server")


def context_of(path):
    context = ssl.create_default_context(cadata=base64.b64decode(field(path, "certificate-authority-data")).decode())
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(base64.b64decode(field(path, "client-certificate-data")) + base64.b64decode(field(path, "client-key-data")))
        pair.flush()
        context.load_cert_chain(pair.name)
    return context


def connection_maker(path):
    context = context_of(path)
    host, port = server_of(path).removeprefix("https://").rsplit(":", 1)
    return lambda: http.client.HTTPSConnection(host.strip("[]"), int(port), timeout=LIMIT, context=context)


def ask(connect, method, path, body=None):
    c = connect()
    try:
        c.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer = c.getresponse()
        return answer.status, answer.read()
    finally:
        c.close()


def main():
    connect, log = connection_maker(sys.argv[1]), open(sys.argv[2], "w", buffering=1)
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    prefix, path = f"writer-{int(time.time())}", "/api/v1/namespaces/default/configmaps"
    number, acknowledged, failed, longest, last = 0, [], 0, 0.0, time.monotonic()
    while not stop:
        number += 1
        name = f"{prefix}-{number}"
        begun = time.monotonic()
        try:
            status, said = ask(connect, "POST", path, {"metadata": {"name": name, "labels": {"writer": prefix}}})
            kind, words = (None, "") if status == 201 else (f"status-{status}", failures.words_of(said))
        except Exception as e:  # any exception means a failed request
            kind, words = failures.kind_of(e), repr(e)
        now, ended = time.monotonic(), time.time()
        if kind is None:
            acknowledged.append(name)
            longest, last = max(longest, now - last), now
        else:
            failed += 1
            log.write(failures.line(ended - (now - begun), ended, kind, f"POST {name}", words))
        time.sleep(max(0.0, PERIOD - (now - begun)))
    _, body = ask(connect, "GET", f"{path}?labelSelector=writer%3D{prefix}")
    there = {o["metadata"]["name"] for o in json.loads(body)["items"]}
    missing = [name for name in acknowledged if name not in there]
    for name in missing:
        print(f"acknowledged and missing: {name}")
    print(
        f"requests {number} acknowledged {len(acknowledged)} failed {failed} missing {len(missing)} longest-silence-ms {int(longest * 1000)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
