"""What a graph and its variants name together, each thing once. Nothing here reads anything.

Images are named by the first workload that runs them, models as in the graph; what only a variant has and another
thing's name is taken for gets the variant's name behind it. So what is packed for the graph is called the same with
and without variants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bundler.collect.sources import ImageSource, image_sources
from bundler.model.graph import Config, Graph, Model


@dataclass(frozen=True, slots=True)
class Union:
    """`variants` by name, in order."""

    graph: Graph
    variants: Mapping[str, Graph]

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """All of them; the graph's own under ""."""
        return {"": self.graph, **self.variants}

    @property
    def images(self) -> tuple[ImageSource, ...]:
        made = {(source.image, source.build): source for source in image_sources(self.graph)}
        taken = {source.name for source in made.values()} | {model.name for model in self.models}
        for variant, graph in self.variants.items():
            for source in image_sources(graph):
                key = (source.image, source.build)
                if key not in made:
                    name = _free(source.name, variant, taken)
                    taken.add(name)
                    made[key] = ImageSource(name, (), source.image, source.build)
                made[key] = replace(made[key], silent=made[key].silent or source.silent)
                more = tuple((variant, workload) for workload in source.workloads)
                made[key] = replace(made[key], varied=(*made[key].varied, *more))
        return tuple(made.values())

    @property
    def models(self) -> tuple[Model, ...]:
        return tuple({packed.name: packed for _, _, packed in self._models()}.values())

    def models_of(self, variant: str) -> dict[str, str]:
        """The name that each model of a variant is packed under."""
        return {own.name: packed.name for of, own, packed in self._models() if of == variant}

    @property
    def configs(self) -> tuple[Config, ...]:
        """With a file or folder, each once; variants may give one name to several."""
        return tuple(dict.fromkeys(config for graph in self.graphs.values() for config in graph.configs))

    def images_of(self, variant: str) -> dict[str, str]:
        """The name of each workload's image."""
        return {
            workload: source.name
            for source in self.images
            for of, workload in (*(("", one) for one in source.workloads), *source.varied)
            if of == variant
        }

    def _models(self) -> Iterator[tuple[str, Model, Model]]:
        """(variant, the model as it has it, the same under the name it is packed under)."""
        packed: dict[tuple[str, str, str | None], Model] = {}
        taken: set[str] = {workload.name for workload in (*self.graph.services, *self.graph.jobs)}
        for variant, graph in self.graphs.items():
            for model in graph.models:
                key = (model.name, model.source, model.license)
                if key not in packed:
                    name = _free(model.name, variant, taken)
                    taken.add(name)
                    packed[key] = replace(model, name=name)
                yield variant, model, packed[key]


def _free(name: str, variant: str, taken: set[str]) -> str:
    """A DNS label that is not taken."""
    if name not in taken:
        return name
    ending = f"-{variant}"
    free = f"{name[: 63 - len(ending)]}{ending}"
    number = 1
    while free in taken:
        number += 1
        ending = f"-{variant}-{number}"
        free = f"{name[: 63 - len(ending)]}{ending}"
    return free
