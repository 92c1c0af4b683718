"""Whatever is in a Compose file: what becomes of it is a right graph, and always the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bundler.errors import UsageError
from bundler.graphfile.check import check
from bundler.graphfile.source import parse
from bundler.importing import keys
from bundler.importing.compose import imported
from bundler.importing.folder import Folder
from bundler.importing.report import lines
from bundler.importing.writing import graph_text, site_text

NAMES = st.sampled_from(["a", "b_c", "db", "DB", "9x", "localhost", "values", "secrets", "a.b", "db-data"])
TEXTS = st.one_of(
    st.sampled_from(
        ["http://a:80/x", "db:5432", "redis://:pw1234@db:6379", "${X:-a}", "${X}", "$$x", "${P_PASSWORD:-secret1}", "a",
         "secret1", "http://localhost:8080", "${a.b}", "b_c:99999", "${A:-http://b_c:8000}", "host=db", "no", "0x1F",
         "host.docker.internal:1", "postgres://u:secret1@db:5432/x", "postgres://db", "\x07", "\u2028", "a\n b\n", " ",
         "password=${X:-a}", "token ${A:-b}", "password=x${X:-a}${A}", "://u:${X}@h"]
    ),
    st.text(max_size=12),
)  # fmt: skip
ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 70000), st.floats(), st.dates(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(NAMES, TEXTS), inner, max_size=3)),
    max_leaves=6,
)
VARIABLES = st.sampled_from(
    ["DB_HOST", "DB_PORT", "A_PASSWORD", "B_TOKEN", "POSTGRES_PASSWORD", "POSTGRES_USER", "URL"]
)
PORTS = st.sampled_from(["80", "8080:80", "1.2.3.4:1:2", "1-3:1-3", "5/udp", "x"])
TESTS = st.sampled_from(["curl -f http://localhost:99/x", "x $$A", ["CMD", "a"], ["NONE"], ["CMD", "${P_PASSWORD}"]])
IMAGES = st.sampled_from(["postgres:16", "redis", "x/y:${T:-1}", "nginx", "nextcloud:fpm", "Bad Image", "rabbitmq"])
MOUNTS = st.sampled_from(["db:/d", "./x:/y", "/anon", "/etc/x:/e", "./f.conf:/f:ro", "v:/d", "v:/run/secrets/x", "x"])
KEYS = st.sampled_from(sorted({*keys.TRANSLATED, "labels", "privileged", "x-y", "odd"} - {"depends_on"}))


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = draw(st.dictionaries(KEYS, ANY, max_size=4))
    made["image"] = draw(IMAGES)
    made["environment"] = draw(st.dictionaries(VARIABLES, TEXTS, max_size=4))
    made["volumes"] = draw(st.lists(MOUNTS, max_size=3))
    made["ports"] = draw(st.lists(PORTS, max_size=2))
    conditions = st.sampled_from(["service_started", "service_healthy", "service_completed_successfully"])
    waits = draw(st.dictionaries(NAMES, conditions, max_size=2))
    made["depends_on"] = {name: {"condition": each} for name, each in waits.items()}
    if draw(st.booleans()):
        made["healthcheck"] = {"test": draw(TESTS), "interval": draw(st.sampled_from(["5s", "x", "0s"]))}
    return made


FILES = st.fixed_dictionaries(
    {"services": st.dictionaries(NAMES, services(), min_size=1, max_size=4)},
    optional={
        "volumes": ANY,
        "secrets": ANY,
        "configs": ANY,
        "networks": ANY,
        "include": ANY,
        "name": TEXTS,
        "x-a": ANY,
    },
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking such files takes minutes
)
@given(FILES)
def test_a_graph_that_was_imported_is_right(data: dict[str, Any]) -> None:
    text = yaml.safe_dump(data, allow_unicode=False)
    try:
        found = imported([(text, "f")], "shop", Folder(Path("/nonexistent")))
        again = imported([(text, "f")], "shop", Folder(Path("/nonexistent")))
    except UsageError:
        return
    graph = graph_text(found.graph, "f", found.remarks)
    check(parse(graph, "bundle.yaml"))
    site_text(found.site, "f", found.site_remarks)
    assert graph_text(again.graph, "f", again.remarks) == graph
    assert lines(again.report) == lines(found.report)
