"""What a plan makes of a service that has changed, without a cluster."""

from __future__ import annotations

from dataclasses import replace

from test_k8s_parts import in_place, made, plan, released

from bundler.model.graph import Mount
from bundler.model.observed import Thing
from bundler.model.release import Release
from targets.k8s import access
from targets.sample import settled, with_service

WRITES = (Mount("data", "/data"),)


def changed(release: Release, **changes: object) -> Release:
    return with_service(settled(release, in_place(release)), "web", **changes)


def test_a_service_that_begins_to_keep_data_ends_before_it_starts_anew() -> None:
    for before, after in ((released(), WRITES), (released(volumes=WRITES), ())):
        release = changed(before, volumes=after)
        old, new = made(before)["web"].main, made(release)["web"].main
        assert old.kind != new.kind
        steps = {step.id: step for step in plan(release, in_place(before)).steps}
        assert steps["replace service/web"].payload["gone"] == [old.id]
        assert "remove service/web" not in steps, "it is gone by then"
        deleted = {right.shown for right in access.needs([steps["replace service/web"]]) if right.verb == "delete"}
        assert deleted == {f"{old.kind.lower()}s.apps"}


def test_an_owner_of_another_kind_beside_the_wanted_one_goes() -> None:
    there = in_place(released())
    there = replace(there, things=(*there.things, Thing("service/web", "StatefulSet/web", "s")))
    (step,) = plan(replace(settled(released(), there), recorded=True), there).steps
    assert (step.id, step.payload["gone"]) == ("replace service/web", ["StatefulSet/web"])
