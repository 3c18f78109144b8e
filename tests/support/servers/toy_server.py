"""A process that only answers, at once or late: stands in for a dashboard where the supervisor is tested.

    python -m tests.support.servers.toy_server --address 127.0.0.1 --port 20000

`/late` answers at once the first time, and from then on after `LATE_SECONDS`.
"""

from __future__ import annotations

import argparse
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LATE_SECONDS = 1.5


class Answer(BaseHTTPRequestHandler):
    """200 to everything."""

    was_asked = False

    def do_GET(self) -> None:
        if self.path == "/late" and Answer.was_asked:
            time.sleep(LATE_SECONDS)
        Answer.was_asked |= self.path == "/late"
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing to tell."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address")
    parser.add_argument("--port", type=int)
    given = parser.parse_args()
    ThreadingHTTPServer((given.address, given.port), Answer).serve_forever()
