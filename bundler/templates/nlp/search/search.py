"""Finds passages. Answers on port 8000: a page at /, JSON at /search?q=…, "ok" at /healthz."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import psycopg
from vectors import encode, likeness

DATABASE_URL = os.environ["DATABASE_URL"]
RESULTS = int(os.environ.get("RESULTS", "5"))
PAGE = '<h1>Search</h1><form action="/search"><input name="q" autofocus> <button>Find</button></form>'


def found(question: str) -> list[dict[str, object]]:
    """The passages that are most like the question, the best first."""
    wanted = encode(question)
    with psycopg.connect(DATABASE_URL) as database:
        rows = database.execute("SELECT source, passage, vector FROM passages").fetchall()
    scored = sorted(((likeness(wanted, vector), source, passage) for source, passage, vector in rows), reverse=True)
    return [{"score": round(score, 3), "source": source, "passage": passage} for score, source, passage in scored][
        :RESULTS
    ]


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        question = " ".join(parse_qs(url.query).get("q", []))
        if url.path == "/healthz":
            self.answer(200, "text/plain", "ok")
        elif url.path == "/":
            self.answer(200, "text/html", PAGE)
        elif url.path == "/search" and question:
            self.answer(200, "application/json", json.dumps(found(question), ensure_ascii=False, indent=2))
        else:
            self.answer(404, "text/plain", "There is nothing here; ask /search?q=…")

    def answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    ThreadingHTTPServer(("", 8000), Page).serve_forever()
