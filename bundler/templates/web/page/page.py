"""Counts who came by. Answers on port 8000: the page at /, "ok" at /healthz."""

import html
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

DATABASE_URL = os.environ["DATABASE_URL"]
GREETING = os.environ.get("GREETING", "Hello")


def counted() -> int:
    """One visitor more; how many there were."""
    with psycopg.connect(DATABASE_URL) as database:
        database.execute("CREATE TABLE IF NOT EXISTS visits (at timestamptz DEFAULT now())")
        database.execute("INSERT INTO visits DEFAULT VALUES")
        return database.execute("SELECT count(*) FROM visits").fetchone()[0]


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.answer(200, "ok")
        elif self.path == "/":
            self.answer(200, f"<h1>{html.escape(GREETING)}</h1><p>You are visitor number {counted()}.</p>")
        else:
            self.answer(404, "There is nothing here.")

    def answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    ThreadingHTTPServer(("", 8000), Page).serve_forever()
