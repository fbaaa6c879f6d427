#!/usr/bin/env python3
"""ledger.py write KUBECONFIG LEDGER: creates numbered ConfigMaps through the API until SIGTERM. For each one that an API server acknowledges, a
line `NAME REVISION` is written to LEDGER at once.
ledger.py compare LEDGER: reads the output of `etcdctl get --keys-only -w json` from standard input. Exits with 1 if LEDGER is empty, or if etcd does
not have the key of an entry of LEDGER with exactly the entry's revision."""

import base64
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import writer  # noqa: E402

PERIOD = 0.1  # seconds between two requests


def write(kubeconfig, path):
    connect, ledger = writer.connection_maker(kubeconfig), open(path, "w", buffering=1)
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    prefix, number, acknowledged = f"ledger-{int(time.time())}", 0, 0
    while not stop:
        number += 1
        name = f"{prefix}-{number}"
        try:
            body = {"metadata": {"name": name, "labels": {"ledger": prefix}}, "data": {"number": str(number)}}
            status, said = writer.ask(connect, "POST", "/api/v1/namespaces/default/configmaps", body)
            if status == 201:
                acknowledged += 1
                ledger.write(f"{name} {json.loads(said)['metadata']['resourceVersion']}\n")
        except Exception:  # a request that ends with any exception was not acknowledged, so it is not written to LEDGER
            pass
        time.sleep(PERIOD)
    print(f"requests {number} acknowledged {acknowledged}", flush=True)


def compare(path):
    entries = json.load(sys.stdin).get("kvs", [])
    there = {(base64.b64decode(e["key"]).decode().rsplit("/", 1)[1], str(e["mod_revision"])) for e in entries}
    acknowledged = [tuple(line.split()) for line in open(path)]
    missing = [entry for entry in acknowledged if entry not in there]
    for name, revision in missing:
        print(f"acknowledged and not in etcd: {name} at revision {revision}")
    sys.exit(bool(missing or not acknowledged))


if __name__ == "__main__":
    {"write": write, "compare": compare}[sys.argv[1]](*sys.argv[2:])
