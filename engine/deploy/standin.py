"""Stand-in: a server or a worker that takes as long as the scenario says, and does nothing.

This file is copied as it is into the local stack; it needs Python's standard library alone.  A
server computes, asks Redis, calls further services and leaves messages, as its environment says;
a worker takes messages out of Redis and sleeps.  Redis's protocol: RESP 2,
https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8080
DEPTH_MAX = 16  # calls within calls
DEPTH = "X-Depth"


def told(name: str) -> dict[str, list[str]]:
    """Return what the environment says of each path: "view:auth,product buy:auth"."""
    pairs = (word.split(":", 1) for word in os.environ.get(name, "").split())
    return {path: [each for each in names.split(",") if each] for path, names in pairs}


def redis(*words: str, patience: float | None = 5.0) -> bytes:
    """Send one command and return the first bytes of the answer."""
    parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    with socket.create_connection((os.environ.get("REDIS", "redis"), 6379), patience) as line:
        line.settimeout(patience)
        line.sendall(f"*{len(words)}\r\n{parts}".encode())
        return line.recv(4096)


class Server(BaseHTTPRequestHandler):
    """One call: wait for a thread, compute, and do what the path asks for."""

    protocol_version = "HTTP/1.1"
    threads = threading.BoundedSemaphore(int(os.environ.get("THREADS", "16")))
    cores = threading.BoundedSemaphore(int(os.environ.get("CORES", "4")))
    cpu_seconds = float(os.environ.get("CPU_SECONDS", "0"))
    fresh = os.environ.get("CACHE_CONTROL", "")
    calls, lookups, messages = told("CALLS"), told("LOOKUPS"), told("MESSAGES")

    def do_GET(self) -> None:
        """Answer."""
        path, _, query = self.path.partition("?")
        status = 200
        if path != "/health":
            with self.threads:
                status = self.work(path.strip("/"), query)
        body = b"ok\n" if status == 200 else b"failed\n"
        self.send_response(status)
        if self.fresh:
            self.send_header("Cache-Control", self.fresh)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815, the standard library's name for it

    def work(self, path: str, query: str) -> int:
        """Do the work of one call; return the HTTP status."""
        with self.cores:
            time.sleep(random.expovariate(1 / self.cpu_seconds) if self.cpu_seconds else 0.0)
        try:
            for name in self.lookups.get(path, ()):
                redis("GET", f"{name}:{query}")
                redis("SETEX", f"{name}:{query}", os.environ.get("TTL_SECONDS", "300"), "1")
            for name in self.calls.get(path, ()):
                self.call(name, path, query)
            for topic in self.messages.get(path, ()):
                redis("LPUSH", topic, query or "-")
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
            return 502
        return 200

    def call(self, name: str, path: str, query: str) -> None:
        """Call another service, unless calls go in circles."""
        depth = int(self.headers.get(DEPTH, "0")) + 1
        if depth <= DEPTH_MAX:
            url = f"http://{name}:{PORT}/{path}?{query}"
            asked = urllib.request.Request(url, headers={DEPTH: str(depth)})
            with urllib.request.urlopen(asked, timeout=60) as answer:
                answer.read()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


def consume(topic: str, seconds: float) -> None:
    """Take messages for ever, one at a time."""
    while True:
        try:
            taken = redis("BRPOP", topic, "0", patience=None)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
            time.sleep(1)
            continue
        if taken.startswith(b"*2"):
            time.sleep(random.expovariate(1 / seconds) if seconds else 0.0)


def main() -> None:
    """Be a worker if there is a topic, else a server."""
    topic = os.environ.get("TOPIC")
    if topic:
        consume(topic, float(os.environ.get("WORK_SECONDS", "0")))
    else:
        ThreadingHTTPServer(("", PORT), Server).serve_forever()


if __name__ == "__main__":
    main()
