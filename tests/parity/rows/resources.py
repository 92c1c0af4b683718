"""How many, and how much of the machine."""

from __future__ import annotations

from bundler.model.plan import Verdict

from ..row import EXACT, adapted, refused, row
from ..running import Running, eventually

NO_AUTOSCALER = adapted("service/many scale: fixed at 1; the engine does not scale by load")
ONE_DOOR = adapted("service/app scale: one instance, because it is published on a host port")
MIB = 1 << 20


@row(
    "scale",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    connect: {many: many.http}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  many:
    image: docker-archive:./app.tar
    user: "10001:10001"
    scale: {min: 2, max: 2}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def scale(run: Running) -> None:
    """So many instances run, and each answers under the one name"""
    assert len(run.instances("service/many")) == 2
    addresses = run.text("resolve?many").split()
    born = {run.text(f"ask?{address}:7000/born") for _ in range(12) for address in addresses}
    assert len(born) == 2


@row(
    "autoscale",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    connect: {many: many.http}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  many:
    image: docker-archive:./app.tar
    user: "10001:10001"
    scale: {min: 1, max: 3, cpu: 50}
    resources: {cpus: 0.5}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=NO_AUTOSCALER,
    compose=NO_AUTOSCALER,
    k8s=EXACT,
)
def autoscale(run: Running) -> None:
    """It begins with `min` instances"""
    assert len(run.instances("service/many")) == 1
    assert run.text("ask?many:7000/healthz") == "ok\n"


@row(
    "scale behind a front door",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    scale: {min: 2, max: 2}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=ONE_DOOR,
    compose=ONE_DOOR,
    k8s=EXACT,
)
def scale_published(run: Running) -> None:
    """A published service has so many instances too"""
    assert len(run.instances("service/app")) == (2 if run.answer.verdict is Verdict.EXACT else 1)
    assert run.text("healthz") == "ok\n"


@row(
    "memory",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    resources: {memory: 32MiB}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def memory(run: Running) -> None:
    """A service has so much and not a page more, swap included; one that takes more is ended and started again"""
    limit = run.first_there("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
    assert limit == f"{32 * MIB}\n"
    assert run.first_there("/sys/fs/cgroup/memory.swap.max") in (None, "0\n")
    with_swap = run.first_there("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
    assert with_swap in (None, limit)
    assert run.text("eat?16") == f"{16 * MIB}\n"
    born = run.text("born")
    run.provoke("eat?48")
    eventually(lambda: run.reborn(born), within_s=30)


@row(
    "cpu",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    resources: {cpus: 0.25}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def cpu(run: Running) -> None:
    """A service gets so much time of the processors and no more"""
    both = run.first_there("/sys/fs/cgroup/cpu.max")
    if both is not None:
        quota, period = map(int, both.split())
    else:
        quota = int(run.text("file?/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
        period = int(run.text("file?/sys/fs/cgroup/cpu/cpu.cfs_period_us"))
    assert quota / period == 0.25


@row(
    "GPU (on a machine without)",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    resources: {gpus: 1}
    expose: {http: 7000}
publish: {app: app.http}
""",
    without_gpus=True,
    docker=refused("service/app gpus: needs 1, and the engine has no nvidia runtime"),
    compose=refused("service/app gpus: needs 1, and the engine has no nvidia runtime"),
    k8s=refused("service/app gpus: needs 1, and no node offers nvidia.com/gpu"),
)
def gpu(run: Running) -> None:
    """A service has so many for itself"""


@row(
    "GPU, `required: false` (on a machine without)",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    resources: {gpus: {count: 1, required: false}}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    without_gpus=True,
    docker=adapted("service/app gpus: runs without; the engine has no nvidia runtime"),
    compose=adapted("service/app gpus: runs without; the engine has no nvidia runtime"),
    k8s=adapted("service/app gpus: runs without; no node offers nvidia.com/gpu"),
)
def gpu_optional(run: Running) -> None:
    """A service takes what is there"""
    assert run.text("healthz") == "ok\n"


@row(
    "shared memory (`shm`)",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    resources: {shm: 16MiB}
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
def shm(run: Running) -> None:
    """/dev/shm has the size asked for, 64 MiB where none is, and can be written"""
    assert run.text("space?/dev/shm") == f"{16 * MIB}\n"
    assert run.text("ask?other:7000/space?/dev/shm") == f"{64 * MIB}\n"
    run.text("write?/dev/shm/own=mine")
    run.text("ask?other:7000/write?/dev/shm/own=mine")


@row(
    "tmpfs",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    read_only: true
    tmpfs: [{path: /scratch, size: 4MiB}, /full]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=adapted(
        "service/app tmpfs: what is in it stays when a program ends and is started again; it goes with the pod"
    ),
)
def tmpfs(run: Running) -> None:
    """A directory in memory of the size asked for, 64 MiB where none is; everyone may write to it and run programs from
    it; it is empty at every start"""
    assert run.text("space?/scratch") == f"{4 * MIB}\n"
    assert run.text("space?/full") == f"{64 * MIB}\n"
    assert run.text("list?/full") == ""
    assert run.text("stat?/scratch").split()[0][1:] == "777"
    assert run.text("execute?/scratch") == "7\n"
    born = run.text("born")
    run.provoke("exit?1")
    eventually(lambda: run.reborn(born), within_s=30)
    assert (run.text("list?/scratch") == "") == (run.answer == EXACT)
