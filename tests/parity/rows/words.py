"""Arguments and variables: what the graph writes is what the program reads."""

from __future__ import annotations

from ..conftest import PASSWORD
from ..row import EXACT, row
from ..running import Running

LITERAL = "$HOME ${HOME} $$ $(HOME) $$(WORD) %d `x` \\n 100%"


@row(
    "entrypoint and command",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
    connect: {one: one.http, two: two.http, three: three.http, four: four.http}
    working_dir: /seeded
  one:
    image: docker-archive:./app.tar
    user: "10001:10001"
    command: [serve, "7001"]
    expose: {http: 7001}
  two:
    image: docker-archive:./app.tar
    user: "10001:10001"
    entrypoint: [/app, serve, "7002"]
    expose: {http: 7002}
  three:
    image: docker-archive:./app.tar
    user: "10001:10001"
    entrypoint: [/app, serve]
    command: ["7003"]
    expose: {http: 7003}
  four:
    image: docker-archive:./app.tar
    user: "10001:10001"
    entrypoint: []
    command: [/app, serve, "7004"]
    expose: {http: 7004}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def entrypoint_command(run: Running) -> None:
    """`command` replaces the image's CMD, `entrypoint` both; `working_dir` is where the program starts"""
    assert run.arguments() == ["/app", "serve", "7000"]
    for number, name in enumerate(("one", "two", "three", "four"), 7001):
        told = run.arguments(f"ask?{name}:{number}/file?/proc/self/cmdline")
        assert told == ["/app", "serve", str(number)]
    assert run.text("list?.").split() == ["below", "first"]


@row(
    "env expansion",
    """
values:
  word: {default: plain}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment:
      WORD: ${values.word}
      LITERAL: "$HOME ${HOME} $$ $(HOME) $$(WORD) %d `x` \\\\n 100%"
      ESCAPED: $${values.word}
      EMPTY: ""
      LINES: "one\\n two\\n"
      NUMBER: "007"
    expose: {http: 7000}
    connect: {other: other.http}
  other:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {WORD: word}
    entrypoint: [/app, serve]
    command: ["7001 $HOME ${HOME} $$ $(HOME) $$(WORD) %d `x` \\\\n 100%"]
    expose: {http: 7001}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def env_expansion(run: Running) -> None:
    """Only `${node.field}` means something; every other `$` reaches the program as it is written"""
    told = run.environment()
    assert told["WORD"] == "plain"
    assert told["LITERAL"] == LITERAL
    assert told["ESCAPED"] == "${values.word}"
    assert told["EMPTY"] == ""
    assert told["NUMBER"] == "007"
    assert "LINES=one\n two\n\n" in run.text("env")
    assert run.arguments("ask?other:7001/file?/proc/self/cmdline")[2] == f"7001 {LITERAL}"


@row(
    "service-link env",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {WORD: word}
    expose: {http: 7000}
    connect: {redis: redis.http}
  redis:
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
def service_links(run: Running) -> None:
    """The environment is the graph's and the image's; nothing comes of the names of other nodes"""
    assert set(run.environment()) - run.place.own_environment == {"WORD", "FROM_IMAGE"}


@row(
    "secret in env",
    """
secrets:
  password: {}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {PASSWORD: "${secrets.password}", MIXED: "<${secrets.password}>", URL: "${db.url}"}
    expose: {http: 7000}
    connect: {db: db.sql}
  db:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {sql: {port: 7000, as: postgres}}
    outputs: {sql: {user: me, password: "${secrets.password}", database: data}}
publish: {app: app.http}
""",
    site="secrets:\n  password: {file: ./password}\n",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def secret_env(run: Running) -> None:
    """A variable holds the secret's very bytes, percent-encoded in an address; plan and rendered files hold none"""
    told = run.environment()
    assert told["PASSWORD"] == PASSWORD
    assert told["MIXED"] == f"<{PASSWORD}>"
    encoded = "p%40ss%2Fw%3Ard%20%24HOME%20%24%28WORD%29%20%24%7BWORD%7D%20%2541%20%22quoted%22%20%C3%BC"
    assert told["URL"] == f"postgres://me:{encoded}@db:7000/data"
    shown = run.of_file("render").out + run.of_file("plan", "--json").out
    assert "p@ss" not in shown
    assert encoded not in shown
