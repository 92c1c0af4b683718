"""What a plan makes of a service that has changed, without a cluster."""

from __future__ import annotations

from dataclasses import replace

from k8s_sample import ALL, documents, in_place, made, plan, released

from bundler.model.graph import Mount, Resources
from bundler.model.observed import Instance, Observed, State, Thing
from bundler.model.plan import Ready
from bundler.model.release import Release
from targets.k8s import access
from targets.ownership import canonical
from targets.sample import job, service, settled, with_service

SCALING = {"min_instances": 2, "max_instances": 4, "scale_cpu": 50, "resources": Resources(cpus=1)}
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
        assert deleted == {f"{old.kind.lower()}s.apps", "secrets"}, "and the lease"


def test_an_owner_of_another_kind_beside_the_wanted_one_goes() -> None:
    there = in_place(released())
    there = replace(there, things=(*there.things, Thing("service/web", "StatefulSet/web", "s")))
    (step,) = plan(replace(settled(released(), there), recorded=True), there).steps
    assert (step.id, step.payload["gone"]) == ("replace service/web", ["StatefulSet/web"])


def test_a_service_that_becomes_a_job_of_workers_gives_up_its_name() -> None:
    """A Service's address may not become `None`, nor the other way round."""
    base = released()
    served = replace(base, services=(*base.services, service("train")))
    worked = replace(base, jobs=(*base.jobs, job("train", "0", max_workers=2, ranked=True)))
    headless = Thing("job/train", "Service/train", "s")
    there = replace(in_place(base), things=(*in_place(base).things, headless))
    for before, after, step_id in (
        (in_place(served), worked, "run job/train"),
        (there, served, "create service/train"),
    ):
        step = next(one for one in plan(after, before).steps if one.id == step_id)
        assert step.payload["gone"] == ["Service/train"]
        assert "delete services" in {f"{right.verb} {right.shown}" for right in access.needs([step])}


def test_what_reads_files_under_names_that_go_is_replaced() -> None:
    there = in_place(released())
    secret = next(thing for thing in there.things if thing.name.startswith("Secret/web-secret-"))
    others = tuple(thing for thing in there.things if thing != secret)
    release = replace(settled(released(), there), recorded=True)
    renamed = replace(there, things=(*others, replace(secret, name="Secret/web-secret-0", spec="web-secret-0")))
    ids = [step.id for step in plan(release, renamed).steps]
    assert ids == ["create files/web", "replace service/web", "remove files/web"]
    lost = replace(there, things=others)
    assert [step.id for step in plan(release, lost).steps] == ["create files/web"], "it comes back under its name"


def test_needs_are_waited_for() -> None:
    web = next(step for step in plan(released()).steps if step.resource == "service/web")
    assert web.waits == (Ready("job/seed", "completed"), Ready("service/store", "healthy"))


# how many


def measuring(release: Release) -> Observed:
    """The cluster with the release in it, which begins to measure load."""
    there = in_place(release)
    return replace(there, host=replace(there.host, features=there.host.features | ALL))


def marks(release: Release, features: frozenset[str]) -> str:
    """What the pods of `web` are told from others by."""
    annotations = made(release, features)["web"].main.body["spec"]["template"]["metadata"]["annotations"]
    return str(annotations["dev.graphbundle.spec"])


def test_an_autoscaler_is_made_without_a_restart() -> None:
    release = released(**SCALING)
    there = measuring(release)
    (step,) = plan(replace(settled(release, there), recorded=True), there).steps
    assert (step.id, step.cause) == ("create service/web", "HorizontalPodAutoscaler/web not there")
    *_, owner = step.payload["objects"]  # type: ignore[misc]  # JSON
    assert "replicas" not in owner, "how many there are stays as it is"
    assert marks(release, ALL) == marks(release, there.host.features - ALL)


def test_an_autoscaler_goes_before_the_number_is_set() -> None:
    release = released(**SCALING)
    there = in_place(release)
    scaler = Thing("service/web", "HorizontalPodAutoscaler/web", "s")
    there = replace(there, things=(*there.things, scaler))
    (step,) = plan(replace(settled(release, there), recorded=True), there).steps
    assert (step.id, step.payload["gone"]) == ("create service/web", ["HorizontalPodAutoscaler/web"])
    *_, owner = step.payload["objects"]  # type: ignore[misc]  # JSON
    assert owner["replicas"] == 2
    assert "deployments.apps/scale" in {right.shown for right in access.needs([step])}


def test_another_number_restarts_no_pod() -> None:
    before = released(min_instances=2, max_instances=2)
    release = changed(before, min_instances=3, max_instances=3)
    there = made(before)["web"].main
    running = Instance("service/web", "1", "web-1", 0, there.spec, State.HEALTHY, parts=canonical(dict(there.parts)))
    observed = replace(in_place(before), instances=(running,))
    step = next(one for one in plan(release, observed).steps if one.resource == "service/web")
    assert (step.id, step.cause) == ("create service/web", "scale changed")
    assert marks(release, ALL) == marks(before, ALL)


def test_the_number_is_no_field_of_what_is_applied_and_one_of_what_is_rendered() -> None:
    for each in made(released()).values():
        assert "replicas" not in each.main.body["spec"]
    web = next(one for one in documents(released(min_instances=2, max_instances=2)) if one["kind"] == "Deployment")
    assert web["spec"]["replicas"] == 2
