"""Whether what a graph names beside it is there. Looks at files and opens none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from bundler.collect import listing, ondisk
from bundler.collect.paths import SourceTree
from bundler.errors import Problem, SourceError
from bundler.graphfile.source import Path, Source, problem_order
from bundler.model.graph import Graph, PythonBuild, Workload


def problems(graph: Graph, source: Source, tree: SourceTree) -> list[Problem]:
    """Everything that a build would not find, at the place in the graph file that names it, sorted by position."""
    found = []
    for path, look in _looks(graph, tree):
        try:
            look()
        except SourceError as error:
            hint = error.hint
            if hint is None or hint.startswith("looked in"):
                hint = f"put it there, or mend the path: it is looked for from {tree.root}"
            found.append(Problem(source.at(path), error.what, hint))
    return sorted(found, key=problem_order)


def _looks(graph: Graph, tree: SourceTree) -> Iterator[tuple[Path, Callable[[], object]]]:
    for model in graph.models:
        yield ("models", model.name, "from"), partial(listing.model_files, tree, model.name, model.source)
    for config in graph.configs:
        if config.content is None:
            look = partial(listing.config_files, tree, config.name, file=config.file, directory=config.dir)
            yield ("configs", config.name, "file" if config.file is not None else "dir"), look
    workloads: list[tuple[str, Workload]] = [("services", one) for one in graph.services]
    for kind, workload in (*workloads, *(("jobs", one) for one in graph.jobs)):
        if isinstance(workload.build, PythonBuild):
            yield (kind, workload.name, "build", "python"), partial(_project, tree, workload.build, workload)
            yield from _on_disk(tree, (kind, workload.name, "build", "base"), workload.build.base, workload.name)
        elif workload.build is not None:
            yield (kind, workload.name, "build"), partial(_dockerfile, tree, workload.build, workload.name)
        yield from _on_disk(tree, (kind, workload.name, "image"), workload.image or "", workload.name)


def _on_disk(tree: SourceTree, path: Path, image: str, name: str) -> Iterator[tuple[Path, Callable[[], object]]]:
    if (place := ondisk.transport(image)) is not None:
        text = ondisk.split_tag(tree, place[1])[0]
        yield path, partial(tree.locate, text, f"{path[-1]} of {name}")


def _project(tree: SourceTree, build: PythonBuild, workload: Workload) -> None:
    from bundler.collect import python

    silent = workload.command is None and workload.entrypoint is None
    python.look(tree, build, silent=silent, what=f"build of {workload.name}")


def _dockerfile(tree: SourceTree, build: str, name: str) -> None:
    what = f"build of {name}"
    if not (tree.locate(build, what) / "Dockerfile").exists():
        raise SourceError(f"{what}: {build} holds no Dockerfile")
