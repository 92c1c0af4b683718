"""What a program finds in its file system: settings, data, weights, secrets."""

from __future__ import annotations

from functools import partial

from ..row import EXACT, adapted, row
from ..running import Running, eventually

UNLIMITED = adapted("volume/data size: the engine's local volumes have no size limit")


@row(
    "config file",
    """
values:
  word: {default: plain}
configs:
  settings: {content: "word = ${values.word} $HOME $$\\n"}
  tree: {dir: ./tree}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    configs: [settings:/etc/settings/own, tree:/etc/tree]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def config_file(run: Running) -> None:
    """A config is a read-only file for everyone in the container; what the image has beside it stays visible"""
    assert run.text("file?/etc/settings/own") == "word = plain $HOME $$\n"
    assert run.text("list?/etc/settings").split() == ["own", "sibling"]
    assert run.text("stat?/etc/settings/own").startswith("0444 ")
    assert run.get("write?/etc/settings/own=x").status == 404
    assert run.text("file?/etc/tree/top") == "at the top\n"
    assert run.text("file?/etc/tree/below/deep") == "below\n"


@row(
    "config change → restart",
    """
values:
  word: {default: before}
configs:
  settings: {content: "${values.word}\\n"}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    configs: [settings:/etc/settings/own]
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
    k8s=EXACT,
)
def config_change(run: Running) -> None:
    """A changed config restarts who mounts it and nobody else"""
    born, other = run.text("born"), run.text("ask?other:7000/born")
    run.change("after")
    eventually(lambda: run.reborn(born))
    assert run.text("file?/etc/settings/own") == "after\n"
    assert run.text("ask?other:7000/born") == other


@row(
    "volume: first content",
    """
values:
  word: {default: before}
volumes:
  data: {}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {WORD: "${values.word}"}
    volumes: [data:/seeded]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def volume_content(run: Running) -> None:
    """A volume begins as what the image has there, once: later it is what the program made of it, after changes and
    removals"""
    assert run.text("file?/seeded/first") == "from the image\n"
    assert run.text("file?/seeded/below/second") == "from the image\n"
    assert run.text("stat?/seeded/first").startswith("0644 10001:10001 ")
    assert run.get("remove?/seeded/first").status == 200
    run.text("write?/seeded/own=mine")
    for again in (partial(run.change, "after"), run.removed_and_deployed):
        again()
        assert run.get("file?/seeded/first").status == 404
        assert run.text("file?/seeded/own") == "mine\n"


@row(
    "volume: owner",
    """
volumes:
  data: {}
services:
  app:
    image: docker-archive:./app.tar
    user: "12345:12346"
    volumes: [data:/srv/fresh]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def volume_owner(run: Running) -> None:
    """A fresh volume belongs to the user who writes to it"""
    assert run.text("whoami").startswith("12345:12346 ")
    assert run.text("stat?/srv/fresh").split()[1] == "12345:12346"
    run.text("write?/srv/fresh/own=mine")


@row(
    "volume: sharing",
    """
volumes:
  data: {}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    volumes: [data:/data]
    connect: {reader: reader.http}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  reader:
    image: docker-archive:./app.tar
    user: "10001:10001"
    volumes: ["data:/elsewhere:ro"]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=adapted("volume/data sharing: what mounts it runs on one node, because it is ReadWriteOnce"),
)
def volume_sharing(run: Running) -> None:
    """Several services mount one volume at once; `:ro` cannot write"""
    run.text("write?/data/shared=mine")
    assert run.text("ask?reader:7000/file?/elsewhere/shared") == "mine\n"
    assert "Read-only file system" in run.get("ask?reader:7000/write?/elsewhere/shared=x").text


@row(
    "volume: size",
    """
volumes:
  data: {size: 16MiB}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    volumes: [data:/data]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=UNLIMITED,
    compose=UNLIMITED,
    k8s=EXACT,
)
def volume_size(run: Running) -> None:
    """A volume has at least the room asked for"""
    assert int(run.text("space?/data")) >= 16 << 20
    run.text("write?/data/own=mine")


@row(
    "model weights",
    """
models:
  words: {from: ./words, license: cc0-1.0}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    models: [words:/models/words]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def weights(run: Running) -> None:
    """Weights are at their path, readable for every user and read-only"""
    assert run.text("list?/models/words").split() == ["config.json", "list.txt"]
    assert run.text("file?/models/words/list.txt") == "alpha\nbeta\ngamma\n"
    assert "Read-only file system" in run.get("write?/models/words/x=1").text


@row(
    "secret file",
    """
values:
  word: {default: before}
secrets:
  token: {generate: 24}
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    environment: {WORD: "${values.word}"}
    secrets: [token, "token:/etc/settings/token"]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def secret_file(run: Running) -> None:
    """A secret is a file for the service's user alone; one made at the site stays the same"""
    token = run.text("file?/run/secrets/token")
    assert len(token) == 24
    assert run.text("file?/etc/settings/token") == token
    assert run.text("list?/etc/settings").split() == ["sibling", "token"]
    assert run.text("stat?/run/secrets/token").split()[0] in ("0400", "0440")
    assert run.get("write?/run/secrets/token=x").status == 404
    for again in (partial(run.change, "after"), run.removed_and_deployed):
        again()
        assert run.text("file?/run/secrets/token") == token
    assert token not in run.of_file("render").out
