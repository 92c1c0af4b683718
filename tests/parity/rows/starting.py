"""What starts when, when it is well, and what happens when it ends."""

from __future__ import annotations

import time

from bundler.model.plan import Verdict

from ..row import EXACT, adapted, row, unsayable
from ..running import Running, eventually


@row(
    "start order",
    """
services:
  slow:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {READY_AFTER: "2"}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    connect: {peer: slow.http}
    environment: {PEER_URL: "${peer.url}", FIRST: healthz}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def order(run: Running) -> None:
    """A service starts when what it connects to is healthy"""
    assert run.text("first") == "200 ok\n"


@row(
    "health",
    """
values:
  late: {default: "0"}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {WORD: word}
    tmpfs: [/tmp]
    expose: {http: 7000}
    healthcheck: {test: [/app, note, /tmp/checks, "$HOME $(WORD) ${WORD} $$"], interval: 1s}
    connect: {asked: asked.http, dialled: dialled.http}
  asked:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {READY_AFTER: "${values.late}"}
    expose: {http: 7000}
    healthcheck: {http: /healthz, interval: 1s, retries: 2, start_period: 1s}
  dialled:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
    healthcheck: {tcp: true}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def health(run: Running) -> None:
    """A service is well when a page, a port or a program in it says so, in an image without a shell; one that is not is
    left running"""
    states = {one: run.instances(f"service/{one}")[0]["state"] for one in ("app", "asked", "dialled")}
    assert set(states.values()) == {"healthy"}
    assert set(run.text("file?/tmp/checks").splitlines()) == {"$HOME $(WORD) ${WORD} $$"}
    born = run.text("ask?asked:7000/born")
    assert run.get("ask?asked:7000/sick").status == 200
    eventually(lambda: run.instances("service/asked", status=8)[0]["state"] == "unhealthy")
    assert run.instances("service/asked", status=8)[0]["restarts"] == 0
    assert born
    run.of_file("deploy", "--yes", "--set", "values.late=1000", "--timeout", "10s", status=8)
    never = run.instances("service/asked", status=8)
    assert "healthy" not in {one["state"] for one in never}
    assert {one["restarts"] for one in never} == {0}, "well beyond the time that it is given"


@row(
    "liveness",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
    healthcheck: {tcp: true}
    liveness: {http: /healthz, interval: 1s, retries: 2, start_period: 1s}
publish: {app: app.http}
""",
    docker=adapted(
        "service/app liveness: it is watched by its healthcheck alone; the engine restarts what ends, not what hangs"
    ),
    compose=adapted(
        "service/app liveness: it is watched by its healthcheck alone; the engine restarts what ends, not what hangs"
    ),
    k8s=EXACT,
)
def liveness(run: Running) -> None:
    """A service whose liveness check fails is started anew"""
    born = run.text("born")
    assert run.get("sick").status == 200
    if run.answer.verdict is Verdict.EXACT:
        eventually(lambda: run.reborn(born), within_s=30)
    else:
        time.sleep(4)
        assert run.text("born") == born


@row(
    "restart",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def restart(run: Running) -> None:
    """A service that ends is started again, whatever its exit status"""
    for status in (0, 1):
        born = run.text("born")
        run.provoke(f"exit?{status}")
        eventually(lambda before=born: run.reborn(before), within_s=30)  # type: ignore[misc]
    assert sum(one["restarts"] for one in run.instances("service/app")) == 2


@row(
    "second deploy",
    """
volumes:
  data: {}
secrets:
  token: {generate: 16}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    secrets: [token]
    volumes: [data:/data]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def second_deploy(run: Running) -> None:
    """The same deploy again changes nothing"""
    born, url = run.text("born"), run.url
    assert run.deploy().out.startswith("no changes\n")
    assert run.text("born") == born
    assert run.url.rpartition(":")[0] == url.rpartition(":")[0]


@row(
    "init step (`pre_start`)",
    """
services:
  app:
    image: docker-archive:./app.tar
    pre_start: [[/app, note, /data/prepared, done]]
""",
    docker=unsayable("what must be done before is a job with run: install or upgrade, and depends_on: [JOB]"),
    compose=unsayable("what must be done before is a job with run: install or upgrade, and depends_on: [JOB]"),
    k8s=unsayable("what must be done before is a job with run: install or upgrade, and depends_on: [JOB]"),
)
def init_step(run: Running) -> None:
    """A service has no steps of its own before its start"""
