"""A shop of several Compose files, with `include` and `extends`; what `docker compose config` (2.40.3) makes of them is
EXPECTED. Both readings of it, ours and Compose's, in one form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bundler.importing.folder import Folder
from bundler.importing.mounts import of as mounts_of
from bundler.importing.project import Project, project
from bundler.importing.report import Report
from bundler.importing.sources import Sources
from bundler.importing.variables import settled

SHOP = {
    "compose.yaml": """\
name: shop
include:
  - shared/compose.yaml
  - path: [monitoring/compose.yaml, monitoring/compose.prod.yaml]
    project_directory: .
    env_file: monitoring/m.env
services:
  api:
    extends: {file: common/base.yaml, service: web}
    build: ./api
    command: [serve, --fast]
    environment: {MODE: production, SHARED: "${SHARED:-main}"}
    ports: ["8000:8000"]
    volumes: ["./api.conf:/etc/app.conf:ro"]
    depends_on: [db]
    networks: [inner]
    cap_add: [NET_ADMIN, SYS_TIME]
    healthcheck: {retries: 7, interval: }
    deploy: {resources: {limits: {memory: 256M}}}
  worker:
    extends: api
    command: [work]
    ports: ["9000:9000"]
    environment: [QUEUE=fast, KEPT]
networks: {inner: }
""",
    "common/base.yaml": """\
services:
  base:
    image: acme/base:1
    env_file: base.env
    environment: [MODE=base, KEPT=1, "REGION=${REGION:-eu}"]
    volumes: ["./conf:/conf:ro", "./app.conf:/etc/app.conf:ro", "${CACHE:-./cache}:/cache"]
    cap_add: [NET_ADMIN]
    networks: {inner: {aliases: [front]}}
  web:
    extends: base
    build: {context: docker}
    command: [serve]
    ports: ["8000:8000", "8001:8001"]
    tmpfs: /run
    env_file: [{path: web.env, required: false}]
    healthcheck: {test: [CMD, curl, -f, "http://localhost:8000/"], interval: 5s}
    deploy: {resources: {limits: {cpus: 0.50}}}
""",
    "common/base.env": "BASE=b\nMODE=file\n",
    "common/conf/a": "a",
    "common/app.conf": "common",
    "api.conf": "api",
    "api/Dockerfile": "FROM scratch\n",
    "shared/compose.yaml": """\
include: [deep/compose.yaml]
services:
  db:
    image: postgres:${PG:-16}
    environment: {POSTGRES_PASSWORD: "${DB_PASSWORD}", DEEP: "${DEEP:-none}"}
    volumes: ["dbdata:/var/lib/postgresql/data", {type: bind, source: ./init, target: /init, read_only: true}]
    env_file: db.env
    configs: [c]
    secrets: [s]
    depends_on: {far: {condition: service_healthy}}
volumes: {dbdata: }
configs: {c: {file: ./c.conf}}
secrets: {s: {file: ./s.txt}}
""",
    "shared/.env": "PG=17\nDB_PASSWORD=from-shared\nDEEP=shared\n",
    "shared/db.env": "TUNED=1\n",
    "shared/c.conf": "c",
    "shared/s.txt": "s",
    "shared/init/a.sql": "select 1;",
    "shared/deep/compose.yaml": """\
services:
  far:
    image: acme/far:${DEEP:-none}-${ZED:-none}
    volumes: ["./x:/x"]
    healthcheck: {test: [CMD, probe]}
""",
    "shared/deep/.env": "DEEP=deep\nZED=z\n",
    "shared/deep/x/a": "x",
    "monitoring/compose.yaml": """\
services:
  prom:
    image: prom/prometheus:${PROM_TAG:-v2}
    volumes: ["./prometheus.yml:/etc/prometheus/prometheus.yml:ro"]
    command: [a]
""",
    "monitoring/compose.prod.yaml": 'services: {prom: {command: [b], ports: ["9090:9090"]}}\n',
    "monitoring/m.env": "PROM_TAG=v3\n",
    "prometheus.yml": "global: {}\n",
    ".env": "DB_PASSWORD=from-main\nREGION=us\n",
}
_WEB: dict[str, Any] = {
    "image": "acme/base:1",
    "build": "api",
    "healthcheck": {"test": ["CMD", "curl", "-f", "http://localhost:8000/"], "interval": "5s", "retries": "7"},
    "tmpfs": ["/run"],
    "mounts": ["api.conf:/etc/app.conf:ro", "common/cache:/cache", "common/conf:/conf:ro"],
    "networks": {"inner": {"aliases": ["front"]}},
    "cap_add": ["NET_ADMIN", "SYS_TIME"],
    "depends_on": ["db"],
    "limits": {"cpus": "0.5", "memory": "268435456"},
}
EXPECTED: dict[str, Any] = {
    "api": {
        **_WEB,
        "command": ["serve", "--fast"],
        "environment": {"BASE": "b", "KEPT": "1", "MODE": "production", "REGION": "us", "SHARED": "main"},
        "ports": ["8000:8000", "8001:8001"],
    },
    "worker": {
        **_WEB,
        "command": ["work"],
        "environment": {
            **{"BASE": "b", "KEPT": "", "MODE": "production", "REGION": "us", "SHARED": "main"},
            "QUEUE": "fast",
        },
        "ports": ["8000:8000", "8001:8001", "9000:9000"],
    },
    "db": {
        "image": "postgres:17",
        "environment": {"TUNED": "1", "POSTGRES_PASSWORD": "from-main", "DEEP": "shared"},
        "mounts": ["dbdata:/var/lib/postgresql/data", "shared/init:/init:ro"],
        "configs": ["c"],
        "secrets": ["s"],
        "depends_on": ["far"],
    },
    "far": {
        "image": "acme/far:shared-z",
        "mounts": ["shared/deep/x:/x"],
        "healthcheck": {"test": ["CMD", "probe"]},
    },
    "prom": {
        "image": "prom/prometheus:v3",
        "mounts": ["prometheus.yml:/etc/prometheus/prometheus.yml:ro"],
        "command": ["b"],
        "ports": ["9090:9090"],
    },
}


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def read(folder: Path, *names: str) -> Project:
    report = Report()
    sources = Sources(Folder(folder), report)
    laid = [sources.whole((folder / name).read_text(), name) for name in names or ("compose.yaml",)]
    return project(laid, "shop", Folder(folder), sources.given(), (), report)


def ours(found: Project) -> dict[str, Any]:
    return {name: _ours(service, found) for name, service in found.services.items()}


def _ours(service: dict[str, Any], found: Project) -> dict[str, Any]:
    def say(value: Any) -> Any:
        return settled(str(value), found.given)

    environment = service["environment"].items()
    placed = mounts_of(
        {"volumes": [say(each) if isinstance(each, str) else each for each in service.get("volumes", ())]},
        "",
        found,
        Report(),
    )
    limits = dict(service.get("deploy", {}).get("resources", {}).get("limits", {}))
    if limits.get("memory") == "256M":
        limits["memory"] = str(256 << 20)
    made = {
        **{
            key: service.get(key)
            for key in ("command", "tmpfs", "cap_add", "configs", "secrets", "healthcheck", "ports")
        },
        "image": say(service["image"]),
        "build": service.get("build", {}).get("context", "").removeprefix("./"),
        "environment": {name: say(f"${{{name}}}" if text is None else text) for name, text in environment},
        "mounts": sorted(
            f"{each.source.removeprefix('./')}:{each.target}{':ro' if each.read_only else ''}" for each in placed
        ),
        "depends_on": sorted(service.get("depends_on", ())),
        "networks": service.get("networks"),
        "limits": limits,
    }
    return {key: value for key, value in made.items() if value}


def theirs(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    made = {name: _theirs(service, folder) for name, service in config["services"].items()}
    return {name: {key: value for key, value in each.items() if value} for name, each in made.items()}


def _theirs(service: dict[str, Any], folder: Path) -> dict[str, Any]:
    def within(path: str) -> str:
        return path.removeprefix(f"{folder}/")

    check = service.get("healthcheck", {})
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    return {
        **{key: service.get(key) for key in ("command", "tmpfs", "cap_add", "image")},
        **{key: [each["source"] for each in service.get(key, ())] for key in ("configs", "secrets")},
        "healthcheck": {key: each if key == "test" else str(each) for key, each in check.items()},
        "ports": [f"{each['published']}:{each['target']}" for each in service.get("ports", ())],
        "build": within(service.get("build", {}).get("context", "")),
        "environment": {name: text or "" for name, text in service.get("environment", {}).items()},
        "mounts": sorted(
            f"{within(each['source'])}:{each['target']}{':ro' if each.get('read_only') else ''}"
            for each in service.get("volumes", ())
        ),
        "depends_on": sorted(service.get("depends_on", {})),
        "networks": {name: each for name, each in service["networks"].items() if name != "default"},
        "limits": {key: str(each) for key, each in limits.items()},
    }
