#!/usr/bin/env python3
"""cut.py FOLDER HOST PORT: a ProxyCommand of SSH that passes data to the host and back, until a file in FOLDER changes this. A file `cut-after`
contains a number of bytes: the first connection that has sent so many bytes is cut there, and the file is removed. While a file `deaf` exists, no
answer of the host is passed on; when the file is removed, the connections that it affected are cut. At its end, each connection adds the number of
bytes that it has sent to the file `sent`."""

import os
import socket
import sys
import threading
import time

PERIOD = 0.02  # seconds between two checks for the file `deaf`


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
            # `deaf` may have been created while this thread waited for data, so it is checked again before data is passed on.
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
                limit = None  # another connection was cut for this number, so this connection is not
        else:
            limit = None
        piece = data if limit is None else data[: max(0, limit - sent)]
        there.settimeout(None)
        there.sendall(piece)
        there.settimeout(PERIOD)
        sent += len(piece)
        if limit is not None:
            # The wait lets the kernel send the data that it has buffered, as if the network failed between the two hosts.
            time.sleep(PERIOD)
            end()


if __name__ == "__main__":
    main()
