#!/usr/bin/env python3
"""away.py CERTIFICATES FOLDER URL...: sends a request to each of the etcd members at these client URLs ten times a second, until SIGTERM. A member
is away while nothing answers at its URL; whether it has a leader does not matter. CERTIFICATES is a folder with ca.crt, client.crt and client.key. In
FOLDER, away.log gets a line `SECONDS-SINCE-1970 URL...` each time that a member becomes away while another member is away, with the URLs of all
members that are away then. At the end, away.out gets a line `moments N requests N away N`: the number of lines of away.log, of requests, and of
requests that had no answer."""

import http.client
import os
import signal
import ssl
import sys
import threading
import time
import urllib.parse

PERIOD = 0.1  # seconds between two requests to a member
LIMIT = 2  # seconds a request may take


def answers(url, context):
    """Returns whether anything answers at the URL. Each request has a new connection, because a connection that was kept may lead to an etcd process
    that was replaced."""
    at = urllib.parse.urlsplit(url)
    connection = http.client.HTTPSConnection(at.hostname, at.port, timeout=LIMIT, context=context)
    try:
        connection.request("GET", "/version")
        connection.getresponse().read()
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main():
    certificates, folder, urls = sys.argv[1], sys.argv[2], sys.argv[3:]
    context = ssl.create_default_context(cafile=os.path.join(certificates, "ca.crt"))
    context.load_cert_chain(os.path.join(certificates, "client.crt"), os.path.join(certificates, "client.key"))
    stop, turn = threading.Event(), threading.Lock()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    away, counts = set(), {"moments": 0, "requests": 0, "away": 0}
    log = open(os.path.join(folder, "away.log"), "w", buffering=1)

    def watch(url):
        while not stop.is_set():
            there = answers(url, context)
            with turn:
                counts["requests"] += 1
                counts["away"] += not there
                if not there and url not in away and away:
                    counts["moments"] += 1
                    log.write(f"{time.time():.3f} {' '.join(sorted(away | {url}))}\n")
                (away.discard if there else away.add)(url)
            stop.wait(PERIOD)

    watches = [threading.Thread(target=watch, args=(url,)) for url in urls]
    for each in watches:
        each.start()
    for each in watches:
        each.join()
    with open(os.path.join(folder, "away.out"), "w") as out:
        out.write(" ".join(f"{name} {n}" for name, n in counts.items()) + "\n")


if __name__ == "__main__":
    main()
