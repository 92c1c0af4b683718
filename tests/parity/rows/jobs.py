"""What runs and ends."""

from __future__ import annotations

import re
import time
from functools import partial

from bundler.model.plan import Verdict

from ..row import EXACT, adapted, refused, row
from ..running import Running, eventually

BY_THE_COMMAND = adapted(
    "job/slow timeout: kept by the command that waits for the run; a detached run (`bundle run --detach`) has none"
)
NO_SCHEDULER = refused(
    "job/tick run: there is no scheduler for '* * * * *'; use `run: manual` and start it with `bundle run`"
)


@row(
    "one-shot job (`run: install`)",
    """
values:
  word: {default: before}
volumes:
  data: {}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    depends_on: [setup]
    environment: {WORD: "${values.word}", READY_FILE: /data/ran}
    volumes: [data:/data]
    expose: {http: 7000}
    healthcheck: {http: /healthz, interval: 1s, retries: 1, start_period: 0s}
jobs:
  setup:
    image: docker-archive:./app.tar
    user: "10001:10001"
    run: install
    command: [note, /data/ran, "${values.word}"]
    volumes: [data:/data]
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def one_shot_job(run: Running) -> None:
    """It ends well before who depends on it starts, and runs once for the life of the data"""
    assert run.text("file?/data/ran") == "before\n"
    assert run.instances("job/setup")[0]["state"] == "completed"
    for again in (partial(run.change, "after"), run.removed_and_deployed):
        again()
        assert run.text("file?/data/ran") == "before\n"


@row(
    "job on change (`run: upgrade`)",
    """
values:
  word: {default: before}
volumes:
  data: {}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    depends_on: [migrate]
    volumes: [data:/data]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
jobs:
  migrate:
    image: docker-archive:./app.tar
    user: "10001:10001"
    run: upgrade
    command: [note, /data/ran, "${values.word}"]
    volumes: [data:/data]
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def upgrade_job(run: Running) -> None:
    """It runs at the first deploy and whenever it has changed"""
    assert run.text("file?/data/ran") == "before\n"
    run.deploy()
    assert run.text("file?/data/ran") == "before\n"
    run.change("after")
    assert run.text("file?/data/ran") == "before\nafter\n"


@row(
    "manual job (`bundle run`)",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
    healthcheck: {http: /healthz}
jobs:
  good:
    image: docker-archive:./app.tar
    user: "10001:10001"
    command: [fail, "0"]
  bad:
    image: docker-archive:./app.tar
    user: "10001:10001"
    command: [fail, "3"]
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def manual_job(run: Running) -> None:
    """A deploy does not run it; `bundle run` does, as often as asked, with its log as the answer; its failure is the
    command's"""
    assert run.instances("job/good") == []
    for _ in range(2):
        assert run.of_app("run", "good").out == "failing with 0\n"
    ended = run.of_app("run", "bad", status=8)
    assert "exit status 3" in ended.err
    assert "failing with 3" in ended.err


@row(
    "job retries",
    """
volumes:
  data: {}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    depends_on: [flaky]
    volumes: [data:/data]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
jobs:
  flaky:
    image: docker-archive:./app.tar
    user: "10001:10001"
    run: install
    retries: 1
    command: [try, /data/tries, "2"]
    volumes: [data:/data]
  never:
    image: docker-archive:./app.tar
    user: "10001:10001"
    retries: 1
    command: [try, /data/never, "9"]
    volumes: [data:/data]
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def job_retries(run: Running) -> None:
    """A failed run is repeated so often and not oftener"""
    assert run.text("file?/data/tries") == "tried\ntried\n"
    run.of_app("run", "never", status=8)
    assert run.text("file?/data/never") == "tried\ntried\n"


@row(
    "job timeout",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
jobs:
  slow:
    image: docker-archive:./app.tar
    user: "10001:10001"
    timeout: 2s
    stop_grace_period: 1s
    command: [sleep, "60"]
publish: {app: app.http}
""",
    docker=BY_THE_COMMAND,
    compose=BY_THE_COMMAND,
    k8s=EXACT,
)
def job_timeout(run: Running) -> None:
    """A run that takes longer is ended and has failed"""
    began = time.monotonic()
    ended = run.of_app("run", "slow", status=8)
    assert time.monotonic() - began < 30
    assert "slow" in ended.err
    assert [one for one in run.instances("job/slow") if one["state"] == "running"] == []


@row(
    "cron job",
    """
volumes:
  data: {}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    volumes: [data:/data]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
jobs:
  tick:
    image: docker-archive:./app.tar
    user: "10001:10001"
    run: "* * * * *"
    command: [note, /data/ticks, tick]
    volumes: [data:/data]
publish: {app: app.http}
""",
    docker=NO_SCHEDULER,
    compose=NO_SCHEDULER,
    k8s=EXACT,
)
def cron(run: Running) -> None:
    """It runs at its times"""
    eventually(lambda: run.first_there("/data/ticks") is not None, within_s=100)


@row(
    "N workers",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
jobs:
  train:
    image: docker-archive:./app.tar
    user: "10001:10001"
    command: [worker]
    workers: 3
publish: {app: app.http}
""",
    docker=adapted("job/train workers: all 3 run on this one machine"),
    compose=adapted("job/train workers: all 3 run on this one machine"),
    k8s=EXACT,
)
def workers(run: Running) -> None:
    """Each knows its rank and how many there are, and finds the first by name"""
    said = run.of_app("run", "train").out
    assert sorted(re.findall(r"rank \d of \d", said)) == ["rank 0 of 3", "rank 1 of 3", "rank 2 of 3"]
    assert sorted(re.findall(r"rank 0 heard rank \d", said)) == ["rank 0 heard rank 1", "rank 0 heard rank 2"]
    assert run.answer.verdict is not Verdict.REFUSED
