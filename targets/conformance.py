"""What every adapter promises, as a pytest suite. A third party's adapter passes it too:

    class TestMine(Conformance):
        @pytest.fixture
        def subject(self): yield MySubject(...)

`sample.Subject` says what a subject is, `sample.sample` what is deployed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bundler.contract import Leasing
from bundler.errors import TargetError
from bundler.model.observed import State, StoredSecret
from bundler.model.plan import Action, Ready, Verdict
from bundler.model.release import Release, ReleaseSecret
from targets.sample import FIRST_SECRET, SECRET, Deployment, Subject, sample, settled, with_service


class Conformance:
    """The promises. `subject` is the adapter's own fixture, and removes everything at the end."""

    @pytest.fixture
    def deployment(self, subject: Subject) -> Iterator[Deployment]:
        deployment = Deployment(subject, subject.app)
        yield deployment
        deployment.remove(volumes=True)

    # deploying

    def test_a_first_deploy_brings_everything_up_in_order(self, subject: Subject, deployment: Deployment) -> None:
        deployment.go(sample(subject))
        observed = deployment.observe()
        states = {one.resource: one.state for one in observed.instances}
        assert states == {
            "service/store": State.HEALTHY,
            "service/web": State.HEALTHY,
            "job/seed": State.COMPLETED,
        }
        assert [door.host_port for door in observed.doors] == [subject.port]
        assert observed.record is not None
        assert observed.record.document == sample(subject).record
        started = {one.resource: one.started_at for one in observed.instances}
        assert started["service/store"] < started["job/seed"] < started["service/web"]

    def test_a_second_plan_of_the_same_release_is_empty(self, subject: Subject, deployment: Deployment) -> None:
        release = sample(subject)
        deployment.go(release)
        assert deployment.plan(settled(release, deployment.observe())).steps == ()

    def test_planning_is_pure_and_deterministic(self, subject: Subject, deployment: Deployment) -> None:
        release, observed = sample(subject), deployment.observe()
        first = subject.target.plan(release, observed)
        assert first == subject.target.plan(release, observed)
        assert deployment.observe() == observed
        assert first.steps

    def test_steps_are_json_and_named_once(self, subject: Subject, deployment: Deployment) -> None:
        for release in (sample(subject), None):
            steps = deployment.plan(release).steps
            assert len({step.id for step in steps}) == len(steps)
            for step in steps:
                assert json.loads(json.dumps(step.payload)) == step.payload
            if release is not None:
                deployment.go(release)

    def test_images_are_steps_with_their_size(self, subject: Subject, deployment: Deployment) -> None:
        loads = [step for step in deployment.plan(sample(subject)).steps if step.action is Action.LOAD]
        assert [step.resource for step in loads] == ["image/app"]
        assert loads[0].moves_bytes > 0

    def test_every_step_may_be_done_twice(self, subject: Subject, deployment: Deployment) -> None:
        release = sample(subject)
        deployment.carry_out(deployment.plan(release).steps, times=2)
        assert deployment.plan(settled(release, deployment.observe())).steps == ()

    def test_an_interrupted_deploy_goes_on_where_it_stopped(self, subject: Subject, deployment: Deployment) -> None:
        release = sample(subject)
        whole = deployment.plan(release).steps
        for count in range(len(whole)):
            steps = deployment.plan(_with_stored(release, subject)).steps
            assert len(steps) == len(whole) - count, [step.id for step in steps]
            deployment.carry_out(steps[:1])
        assert deployment.plan(settled(release, deployment.observe())).steps == ()

    def test_of_several_who_ask_for_the_lease_one_gets_it(self, subject: Subject, deployment: Deployment) -> None:
        target, app = subject.target, subject.app
        if not isinstance(target, Leasing):
            pytest.skip("the target has no leases")
        assert target.holder(app) == ""
        with ThreadPoolExecutor() as pool:
            asked = [f"holder {number}" for number in range(3)]
            said = list(pool.map(lambda holder: target.lease(app, holder, ""), asked))
        (first,) = (holder for holder, told in zip(asked, said, strict=True) if told == holder)
        assert set(said) <= {first, ""}, "one may have asked before it was written who holds it"
        assert target.lease(app, "late", "") == first
        assert target.lease(app, "next", first) == "next"
        assert target.lease(app, "late", first) == "next"
        deployment.go(sample(subject))
        assert target.holder(app) == "next"
        assert target.lease(app, "", "next") == target.holder(app) == ""
        assert target.lease(app, "left behind", "") == "left behind"
        deployment.remove(volumes=True)
        assert target.holder(app) == ""
        assert subject.remains(app) == []

    # changing

    def test_a_changed_environment_replaces_that_service_alone(self, subject: Subject, deployment: Deployment) -> None:
        release = sample(subject)
        deployment.go(release)
        before = deployment.identities()
        changed = with_service(settled(release, deployment.observe()), "web", environment=(("GREETING", ("bye",)),))
        plan = deployment.go(changed)
        after = deployment.identities()
        assert [step.resource for step in plan.steps if step.action is Action.REPLACE] == ["service/web"]
        assert {name for name in before if before[name] != after[name]} == {"service/web 0"}

    def test_a_changed_secret_replaces_what_uses_it(self, subject: Subject, deployment: Deployment) -> None:
        release = sample(subject)
        deployment.go(release)
        secrets = (ReleaseSecret("key", "revision-2", stored=False, before="revision-1"),)
        changed = replace(settled(release, deployment.observe()), secrets=secrets, record="{}", recorded=False)
        other = replace(deployment, secret=StoredSecret("revision-2", b"another"))
        plan = other.go(changed)
        assert [step.resource for step in plan.steps if step.action is Action.REPLACE] == ["service/web"]
        assert subject.target.secrets(subject.app) == {"key": other.secret}

    def test_a_dropped_service_goes_and_its_data_stays(self, subject: Subject, deployment: Deployment) -> None:
        release = sample(subject)
        deployment.go(release)
        now = settled(release, deployment.observe())
        without = replace(
            now,
            services=tuple(replace(one, needs=()) for one in now.services if one.name == "web"),
            volumes=(),
            record=json.dumps({"release": "smaller"}),
            recorded=False,
        )
        deployment.go(without)
        observed = deployment.observe()
        assert not observed.of("service/store")
        assert observed.thing("volume/data") is not None
        assert deployment.plan(settled(without, observed)).steps == ()

    def test_a_stopped_service_is_started_and_nothing_else_touched(
        self, subject: Subject, deployment: Deployment
    ) -> None:
        release = sample(subject)
        deployment.go(release)
        before = deployment.identities()
        subject.stop(subject.app, "store")
        plan = deployment.go(settled(release, deployment.observe()))
        after = deployment.identities()
        assert [step.id for step in plan.steps] == ["start service/store"]
        assert {name for name in before if before[name] != after[name]} == {"service/store 0"}

    # jobs

    def test_a_job_that_is_not_due_is_not_run(self, subject: Subject, deployment: Deployment) -> None:
        release = settled(sample(subject), deployment.observe())
        deployment.go(release)
        assert not deployment.observe().of("job/seed")

    def test_a_due_job_that_has_completed_is_not_run_again(self, subject: Subject, deployment: Deployment) -> None:
        release = sample(subject)
        deployment.go(release)
        again = replace(settled(release, deployment.observe()), jobs=release.jobs)
        assert deployment.plan(again).steps == ()

    def test_a_job_asked_for_again_runs_again(self, subject: Subject, deployment: Deployment) -> None:
        """The core plans it as if no instance were there."""
        release = sample(subject)
        deployment.go(release)
        observed = deployment.observe()
        again = replace(settled(release, observed), jobs=release.jobs)
        without = replace(observed, instances=tuple(one for one in observed.instances if one.resource != "job/seed"))
        steps = [step for step in subject.target.plan(again, without).steps if step.resource == "job/seed"]
        assert [step.action for step in steps] == [Action.RUN]
        deployment.carry_out([replace(step, after=(), waits=()) for step in steps])
        deployment.wait([Ready("job/seed", "completed")])
        assert deployment.observe().of("job/seed")[0].started_at != observed.of("job/seed")[0].started_at

    # removing

    def test_removing_keeps_data_secrets_and_records(self, subject: Subject, deployment: Deployment) -> None:
        deployment.go(sample(subject))
        deployment.remove(volumes=False)
        observed = deployment.observe()
        assert observed.instances == ()
        kept = {thing.resource for thing in observed.things if not thing.foreign}
        assert kept == {"volume/data", "secrets", "record/1"}
        assert subject.target.secrets(subject.app) == {"key": deployment.secret}
        assert [one.app for one in subject.target.apps() if one.app == subject.app] == [subject.app]

    def test_what_was_kept_is_found_by_the_next_deploy(self, subject: Subject, deployment: Deployment) -> None:
        release = sample(subject)
        deployment.go(release)
        deployment.remove(volumes=False)
        again = settled(release, deployment.observe())
        steps = {step.resource for step in deployment.go(again).steps}
        assert not steps & {"volume/data", "secrets", "record/1", "record/2", "job/seed"}

    def test_removing_with_volumes_leaves_nothing(self, subject: Subject, deployment: Deployment) -> None:
        deployment.go(sample(subject))
        deployment.remove(volumes=True)
        assert subject.remains(subject.app) == []
        assert subject.app not in [one.app for one in subject.target.apps()]
        assert deployment.plan(None).steps == ()

    def test_records_go_after_the_data_and_before_the_secrets(self, subject: Subject, deployment: Deployment) -> None:
        deployment.go(sample(subject))
        steps = [step for step in deployment.plan(None).steps if step.loses_data]
        data, record, secrets = (
            {step.id for step in steps if step.resource.startswith(kind)} for kind in ("volume/", "record/", "secrets")
        )
        assert data
        assert record
        assert all(data <= set(step.after) for step in steps if step.id in record | secrets)
        assert all(record <= set(step.after) for step in steps if step.id in secrets)
        assert secrets

    def test_removing_after_an_interruption_leaves_nothing(self, subject: Subject, deployment: Deployment) -> None:
        whole = deployment.plan(sample(subject)).steps
        for count in (1, len(whole) // 3, 2 * len(whole) // 3, len(whole) - 1):
            deployment.carry_out(whole[:count])
            deployment.remove(volumes=True)
            assert subject.remains(subject.app) == []

    def test_a_second_app_keeps_what_both_use(self, subject: Subject, deployment: Deployment) -> None:
        first = sample(subject)
        deployment.go(first)
        other = Deployment(subject, f"{subject.app}-2")
        second = replace(with_service(sample(subject, other.app), "web", doors=()), doors=())
        try:
            other.go(second)
            deployment.remove(volumes=True)
            observed = other.observe()
            assert {one.state for one in observed.instances} == {State.HEALTHY, State.COMPLETED}
            assert other.plan(settled(second, observed)).steps == ()
        finally:
            other.remove(volumes=True)
        assert subject.remains(other.app) == []

    # what is not ours

    def test_a_foreign_thing_is_refused_and_left_alone(self, subject: Subject, deployment: Deployment) -> None:
        name = subject.plant(subject.app)
        try:
            plan = subject.target.plan(sample(subject), deployment.observe())
            assert [note.verdict for note in plan.refused] == [Verdict.REFUSED]
            assert name in str(plan.refused[0])
            assert plan.steps == ()
            deployment.remove(volumes=True)
            assert subject.planted(subject.app)
        finally:
            subject.uproot(subject.app)

    # secrets

    def test_secrets_are_in_no_plan_and_nowhere_to_be_listed(self, subject: Subject, deployment: Deployment) -> None:
        release = sample(subject)
        plan = deployment.go(release)
        rendered = "".join(subject.target.render(release, subject.blobs).values())
        visible = subject.shown(subject.app) + repr(plan) + repr(deployment.observe()) + rendered
        for text in (SECRET.decode(), "pl%24in", "pl$in"):
            assert text not in visible

    def test_a_missing_secret_stops_the_step(self, subject: Subject, deployment: Deployment) -> None:
        steps = [step for step in deployment.plan(sample(subject)).steps if step.resource == "secrets"]
        with pytest.raises(TargetError):
            subject.target.apply(steps[0], subject.blobs, {}, lambda size: None)

    def test_a_secret_that_another_deploy_has_stored_meanwhile_is_kept(
        self, subject: Subject, deployment: Deployment
    ) -> None:
        steps = deployment.plan(sample(subject)).steps
        (storing,) = [step for step in steps if step.resource == "secrets"]
        deployment.carry_out(steps[: steps.index(storing) + 1])
        with pytest.raises(TargetError):
            subject.target.apply(storing, subject.blobs, {"key": StoredSecret("revision-2", b"2")}, lambda size: None)
        assert subject.target.secrets(subject.app) == {"key": FIRST_SECRET}

    def test_secrets_come_back_as_they_were_stored(self, subject: Subject, deployment: Deployment) -> None:
        assert subject.target.secrets(subject.app) == {}
        deployment.go(sample(subject))
        assert subject.target.secrets(subject.app) == {"key": deployment.secret}

    # reading

    def test_logs_are_lines_in_order_of_time(self, subject: Subject, deployment: Deployment) -> None:
        deployment.go(sample(subject))
        lines = list(subject.target.logs(subject.app, None, follow=False, since=None, tail=None))
        assert {line.service for line in lines} == {"store", "seed", "web"}
        assert [line.time for line in lines] == sorted(line.time for line in lines)
        seed = list(subject.target.logs(subject.app, "seed", follow=False, since=None, tail=None))
        assert {line.service for line in seed} == {"seed"}
        last = list(subject.target.logs(subject.app, "seed", follow=False, since=None, tail=1))
        assert len(last) == 1
        assert last[0] in seed
        late = list(subject.target.logs(subject.app, None, follow=False, since=lines[-1].time, tail=None))
        assert late
        assert {line.time for line in late} == {lines[-1].time}

    def test_the_app_is_listed(self, subject: Subject, deployment: Deployment) -> None:
        release = sample(subject)
        deployment.go(release)
        (listed,) = [one for one in subject.target.apps() if one.app == subject.app]
        assert (listed.bundle, listed.version, listed.root) == (release.bundle, release.version, release.root)
        assert listed.instances == 2

    def test_rendering_is_deterministic_text(self, subject: Subject) -> None:
        release = sample(subject)
        rendered = subject.target.render(release, subject.blobs)
        assert rendered
        assert rendered == subject.target.render(release, subject.blobs)


def _with_stored(release: Release, subject: Subject) -> Release:
    """As the core sees it after an interruption: secrets that the target has are stored."""
    stored = subject.target.secrets(release.app)
    secrets = tuple(replace(secret, stored=secret.name in stored) for secret in release.secrets)
    return replace(release, secrets=secrets)
