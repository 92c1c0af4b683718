"""Names that the cluster makes longer, without a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from k8s_sample import documents, plan, released

from bundler.model.graph import Condition, Mount
from bundler.model.release import Need, Release
from targets.k8s import names
from targets.sample import job, service


def with_job(name: str, **changes: Any) -> Release:
    base = released()
    return replace(base, jobs=(*base.jobs, job(name, "0", **changes)))


def with_writer(name: str) -> Release:
    base = released()
    return replace(base, services=(*base.services, service(name, volumes=(Mount("data", "/data"),))))


@pytest.mark.parametrize(
    ("longest", "made"),
    [
        (52, with_writer),
        (61, lambda name: with_job(name, ranked=True, min_workers=1, max_workers=10)),
        (60, lambda name: with_job(name, ranked=True, min_workers=1, max_workers=11)),
        (63, with_job),
        (52, lambda name: with_job(name, run="0 3 * * *", due=False)),
    ],
)
def test_a_name_that_gets_too_long_in_the_cluster_is_refused(longest: int, made: Any) -> None:
    assert plan(made("n" * longest)).refused == ()
    if longest < names.LABEL_LIMIT:
        (note,) = plan(made("n" * (longest + 1))).refused
        assert note.feature == "name"
        assert f"{longest} characters at most" in note.reason


def test_rendered_names_fit_and_differ() -> None:
    long = "n" * 60
    alike = [service(f"{long}-a"), service(f"{long}-b")]
    needs = tuple(Need(one.name, Condition.HEALTHY) for one in alike)
    base = with_job(f"{long}-j", run="manual")
    web = next(one for one in base.services if one.name == "web")
    base = replace(base, services=(*alike, replace(web, needs=needs)))
    found = documents(base)
    runs = [one["metadata"]["name"] for one in found if one["kind"] == "Job"]
    (spec,) = [
        one["spec"]["template"]["spec"]
        for one in found
        if one["metadata"]["name"] == "web" and "template" in one["spec"]
    ]
    waits = [one["name"] for one in spec["initContainers"]]
    for name in (*runs, *waits):
        assert names.is_label(name), name
    assert len(set(waits)) == len(waits) == 2
