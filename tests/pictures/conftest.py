"""Graphs to draw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.graphfile import check, source
from bundler.model.graph import Graph

ROOT = Path(__file__).parents[2]
SHOP = (
    """
bundle: shop
version: 1.2.0
volumes: {orders: {size: 5GiB}}
models: {words: {from: ./words, license: mit}}
externals: {mail: {as: smtp}}
services:
  db:
    image: registry.example/team/postgres:17@sha256:"""
    + "0" * 64
    + """
    expose: {sql: {port: 5432, as: postgres}, admin: 8081}
    volumes: [orders:/data]
    healthcheck: {tcp: true, port: 5432}
    resources: {memory: 512MiB, cpus: 2}
  api:
    build: ./api
    expose: {http: 8000}
    connect: {store: db.sql, audit: db.sql, post: mail, page: {to: web.http, wait: false}}
    depends_on: {fill: {condition: service_completed_successfully}}
    models: [words:/models/words]
    scale: {min: 1, max: 3}
    healthcheck: {http: /healthz}
  web: {image: nginx, expose: {http: 80}, connect: {api: api.http}}
jobs:
  fill: {image: "fill:1", run: install, connect: {store: db.sql}}
  tidy: {image: "fill:1", run: manual, connect: {api: api.http}}
publish:
  shop: web.http
  side: {to: db.admin, optional: true}
"""
)


@pytest.fixture
def read() -> Callable[[str], Graph]:
    return lambda text: check.check(source.parse(text, "bundle.yaml"))


@pytest.fixture
def shop(read: Callable[[str], Graph]) -> Graph:
    return read(SHOP)


@pytest.fixture
def large(read: Callable[[str], Graph]) -> Graph:
    return read((ROOT / "fixtures" / "pictures" / "large.yaml").read_text())
