"""Who a program is, what it may do, and how it ends."""

from __future__ import annotations

from bundler.model.plan import Verdict

from ..row import EXACT, adapted, row, unsayable
from ..running import Running, eventually

DEFAULT_CAPABILITIES = 0xA80425FB  # the fourteen that Docker and containerd give to root
NET_ADMIN = 12
OF_THE_HOST = unsayable("these are the host's")


@row(
    "user",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: app
    connect: {plain: plain.http, number: number.http}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  plain:
    image: docker-archive:./app.tar
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  number:
    image: docker-archive:./app.tar
    user: "1234"
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def user(run: Running) -> None:
    """By name or number, as the image's passwd has it; without one, the image's own; no further groups"""
    assert run.text("whoami").startswith("1234:1235 ")
    assert run.text("ask?plain:7000/whoami").startswith("10001:10001 ")
    assert run.text("ask?number:7000/whoami").startswith("1234:1235 ")
    assert set(run.status_field("Groups").split()) <= {"1235"}


@row(
    "read-only root",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "0:0"
    read_only: true
    connect: {other: other.http}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  other:
    image: docker-archive:./app.tar
    user: "0:0"
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def read_only_root(run: Running) -> None:
    """Nobody writes to the image's files; without it root does"""
    assert "Read-only file system" in run.get("write?/full/own=mine").text
    run.text("ask?other:7000/write?/full/own=mine")


@row(
    "capabilities (`cap_add`)",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "0:0"
    cap_add: [NET_ADMIN]
    connect: {plain: plain.http, other: other.http}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  plain:
    image: docker-archive:./app.tar
    user: "0:0"
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  other:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def capabilities(run: Running) -> None:
    """Root has the usual fourteen and those that are added; other users have none"""
    assert int(run.status_field("CapEff"), 16) == DEFAULT_CAPABILITIES | 1 << NET_ADMIN
    assert _effective(run, "plain") == DEFAULT_CAPABILITIES
    assert _effective(run, "other") == 0


def _effective(run: Running, node: str) -> int:
    lines = run.text(f"ask?{node}:7000/file?/proc/self/status").splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))


@row(
    "set-uid programs",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=adapted("namespace/… privileges: no program gains any from a set-uid file"),
)
def set_uid(run: Running) -> None:
    """A program may gain the privileges of a file that it runs"""
    assert run.status_field("NoNewPrivs") == ("0" if run.answer == EXACT else "1")


@row(
    "sysctls",
    """
services:
  app:
    image: docker-archive:./app.tar
    sysctls: {net.core.somaxconn: "1024"}
""",
    docker=OF_THE_HOST,
    compose=OF_THE_HOST,
    k8s=OF_THE_HOST,
)
def sysctls(run: Running) -> None:
    """A graph sets none"""


@row(
    "stop",
    """
values:
  word: {default: before}
volumes:
  data: {}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {WORD: "${values.word}", SIGNALS: /data/patient, END_AFTER: "1"}
    stop_signal: SIGUSR1
    volumes: [data:/data]
    connect: {hasty: hasty.http}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  hasty:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {WORD: "${values.word}", SIGNALS: /data/hasty, END_AFTER: "60"}
    stop_grace_period: 1s
    volumes: [data:/data]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=adapted("service/app stop_signal: the signal is the one that its image names, or SIGTERM"),
)
def stop(run: Running) -> None:
    """A program is asked to end by its signal and killed when its time is over, not before"""
    run.change("after")
    signal = "USR1" if run.answer.verdict is Verdict.EXACT else "TERM"
    eventually(lambda: run.text("file?/data/patient") == f"{signal}\nended\n")
    assert run.text("file?/data/hasty") == "TERM\n"


@row(
    "process 1 (`init`)",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    init: true
    connect: {other: other.http}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  other:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=adapted("service/app init: the pod's pause program is process 1 and reaps"),
)
def init(run: Running) -> None:
    """What the program leaves behind is reaped; without it the program itself is process 1"""
    assert run.text("whoami").split()[2] != "1"
    assert run.text("ask?other:7000/whoami").split()[2] == "1"
    run.text("orphan")
    run.text("ask?other:7000/orphan")
    eventually(lambda: run.text("ask?other:7000/zombies") == "1\n")
    assert run.text("zombies") == "0\n"
