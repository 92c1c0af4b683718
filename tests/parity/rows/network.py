"""How nodes reach each other, and how people reach them."""

from __future__ import annotations

import re
import socket
import subprocess
from urllib.parse import urlsplit
from urllib.request import urlopen

from bundler.model.plan import Verdict

from ..row import EXACT, adapted, row
from ..running import Running

BEHIND_A_PROXY = adapted("service/app publish app: served at 127.0.0.1:… without TLS; put a proxy before")


@row(
    "DNS name",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    connect: {peer: back-end.http}
    environment: {PEER_URL: "${peer.url}", PEER_HOST: "${peer.host}"}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  back-end:
    image: docker-archive:./app.tar
    user: "10001:10001"
    command: [serve, "7001"]
    expose: {http: 7001}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def dns_name(run: Running) -> None:
    """A service is reached by its node's name; a name that is not there is not resolved"""
    assert run.environment()["PEER_HOST"] == "back-end"
    assert len(run.text("resolve?back-end").split()) == 1
    assert run.text("peer?healthz") == "ok\n"
    assert run.get("resolve?nobody").status == 404


@row(
    "internal port (`expose`)",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    connect: {peer: back.http}
    environment: {PEER_URL: "${peer.url}"}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  back:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000, other: 7001}
    healthcheck: {http: /healthz}
publish: {app: app.http, back: back.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def internal_port(run: Running) -> None:
    """Inside, a service listens on its own port, wherever its front door is; two may have the same"""
    assert run.environment()["PEER_URL"] == "http://back:7000"
    assert run.text("peer?healthz") == "ok\n"
    doors = run.of_app("status", "--json").json()["doors"]
    outside = urlsplit(doors["back"]).port
    assert outside not in (7000, urlsplit(doors["app"]).port)
    assert run.get(f"ask?back:{outside}/healthz").status == 502


@row(
    "low port",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    command: [serve, "80"]
    expose: {http: 80}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def low_port(run: Running) -> None:
    """A program without privileges may listen on port 80"""
    assert run.text("whoami").startswith("10001:10001 ")


@row(
    "front door (`publish`)",
    """
values:
  word: {default: before}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {WORD: "${values.word}", DOOR: "${publish.app.url}"}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=adapted("service/app publish app: `bundle open` forwards it; no host name is given"),
)
def front_door(run: Running) -> None:
    """It opens on this machine alone, stays where it is through changes, and the program knows its address"""
    where = urlsplit(run.url)
    assert where.hostname == "127.0.0.1"
    for address in _addresses():
        with socket.socket() as dialled:
            dialled.settimeout(2)
            assert dialled.connect_ex((address, where.port or 0)) != 0, f"open on {address}"
    if run.answer.verdict is Verdict.EXACT:
        run.change("after")
        assert urlsplit(run.url) == where
        assert run.environment()["DOOR"] == run.url


def _addresses() -> list[str]:
    """This machine's own, but for the loopback ones."""
    told = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    return [address for address in told if "." in address]


@row(
    "front door with a host name and TLS",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {DOOR: "${publish.app.url}"}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    site="publish:\n  app: {host: par.example, tls: par-cert}\n",
    docker=BEHIND_A_PROXY,
    compose=BEHIND_A_PROXY,
    k8s=adapted("service/app publish app: the cluster has no IngressClass to serve its Ingress"),
)
def front_door_host(run: Running) -> None:
    """The site's name and certificate serve it; the program knows its public address"""
    assert run.url == "https://par.example"
    served = re.search(r"served at (127\.0\.0\.1:\d+)", "\n".join(run.notes))
    if served:
        with urlopen(f"http://{served[1]}/env", timeout=10) as page:
            assert "DOOR=https://par.example\n" in page.read().decode()


@row(
    "isolation",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    connect: {back: back.http}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  back:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=adapted("namespace/… isolation: other pods of the cluster reach its pods by address"),
)
def isolation(run: Running) -> None:
    """Two apps of one bundle side by side see their own nodes only, and do not reach each other's"""
    with run.beside() as other:
        theirs = other.text("resolve?back").strip()
        assert other.text(f"ask?{theirs}:7000/healthz") == "ok\n"
        assert run.text("resolve?back").strip() != theirs
        assert run.get(f"ask?{theirs}:7000/healthz").status == (502 if run.answer == EXACT else 200)
