#!/usr/bin/env python3
"""cut.py FOLDER HOST PORT: a ProxyCommand of SSH: a plain pipe to the host, until FOLDER says otherwise. A file `cut-after` holds a number of
bytes: the first connection that has sent so many is cut there, and the file is removed. While a file `deaf` exists, no answer of the host comes
back; when it is gone, connections that were deaf are cut. Each connection adds what it has sent to the file `sent` at its end."""

import os
import socket
import sys
import threading
import time

PERIOD = 0.02  # seconds between two looks for `deaf`


def main():
    folder, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    at = {name: os.path.join(folder, name) for name in ("cut-after", "deaf", "sent")}
    there = socket.create_connection((host, port))
    there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sent = 0

    def end():
        with open(at["sent"], "a") as log:
            log.write(f"{sent}\n")
        os._exit(0)

    def answers():
        deaf = False
        there.settimeout(PERIOD)
        while True:
            if os.path.exists(at["deaf"]):
                deaf = True
            elif deaf:
                end()
            try:
                data = there.recv(65536)
            except TimeoutError:
                continue
            if not data:
                end()
            # What arrived while this thread waited is held back as well.
            if not deaf and not os.path.exists(at["deaf"]):
                os.write(1, data)

    threading.Thread(target=answers, daemon=True).start()
    while True:
        data = os.read(0, 65536)
        if not data:
            end()
        limit = None
        try:
            with open(at["cut-after"]) as f:
                limit = int(f.read())
        except (FileNotFoundError, ValueError):
            pass
        if limit is not None and sent + len(data) >= limit:
            try:
                os.remove(at["cut-after"])
            except FileNotFoundError:
                limit = None  # another connection was cut
        else:
            limit = None
        piece = data if limit is None else data[: max(0, limit - sent)]
        there.settimeout(None)
        there.sendall(piece)
        there.settimeout(PERIOD)
        sent += len(piece)
        if limit is not None:
            # The kernel still sends what it has, as a cable does that breaks behind it.
            time.sleep(PERIOD)
            end()


if __name__ == "__main__":
    main()
