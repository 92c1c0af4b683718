"""The embedder's HTTP interface, on a real socket."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.nlp
START_DEADLINE_S = 60


@pytest.fixture(scope="module")
def url(weights, embedder_path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {"MODEL_DIR": str(weights), "PORT": str(port), "PYTHONPATH": os.pathsep.join(embedder_path)}
    server = Path(embedder_path[0]) / "server.py"
    process = subprocess.Popen([sys.executable, server], env={**os.environ, **environment})
    try:
        deadline = time.monotonic() + START_DEADLINE_S
        while status(f"http://127.0.0.1:{port}/healthz") != 200:
            assert process.poll() is None, "the embedder ended"
            assert time.monotonic() < deadline, "the embedder did not become ready"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()


def status(url: str, body: object = None) -> int:
    try:
        with urllib.request.urlopen(url, None if body is None else json.dumps(body).encode(), timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_vectors_come_in_the_texts_order(url, encoder):
    texts = [f"sentence number {n}, " + "more " * (n * 7 % 50) for n in range(60)]
    body = json.dumps({"texts": texts}).encode()
    with urllib.request.urlopen(f"{url}/embed", body, timeout=30) as response:
        vectors = json.load(response)["vectors"]
    assert abs(encoder.encode(texts) - vectors).max() < 1e-5


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"texts": []}, 200),
        ({"texts": "one"}, 400),
        ({"texts": [1]}, 400),
        ([], 400),
        ({}, 400),
        ({"texts": ["a"] * 257}, 413),
    ],
)
def test_a_request_that_is_none_is_refused_with_its_reason(url, body, expected):
    assert status(f"{url}/embed", body) == expected
