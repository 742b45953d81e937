"""Builds folders and charts of one repository, for whoever follows its routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from analyzer.gitops.reach.builder import Built
from analyzer.gitops.reach.repository import Repository
from analyzer.gitops.render.charts import Chart, charts_in
from analyzer.gitops.render.helm import Helm
from analyzer.gitops.render.kustomize import Kustomize
from analyzer.gitops.render.program import RenderError, Tools
from analyzer.gitops.text.tree import Node


class RepositoryBuilder:
    """Builds with the programs that are at hand; each is started when it is first needed.

    `problems` says of each thing that could not be built why not.
    """

    def __init__(self, repository: Repository, tools: Tools) -> None:
        self._repository = repository
        self._tools = tools
        self.problems: list[str] = []

    @cached_property
    def kustomize(self) -> Kustomize | None:
        """The builder of kustomizations; None without kubectl."""
        if self._tools.kubectl is None:
            return None
        return Kustomize(self._tools.kubectl, self._repository)

    @cached_property
    def helm(self) -> Helm | None:
        """The renderer of charts at hand, those of the repository among them; None without helm."""
        if self._tools.helm is None:
            return None
        charts = charts_in([*self._tools.charts, self._repository.root])
        return Helm(self._tools.helm, charts, self._tools.kubectl)

    def folder(self, folder: str, overlay: str) -> Sequence[Built] | None:
        """What kustomize makes of a folder; None where it cannot be built."""
        if self.kustomize is None:
            return None
        try:
            return self.kustomize.origins(folder, overlay)
        except RenderError as err:
            self.problems.append(f"{folder or '.'} was read and not built: {err}")
            return None

    def chart(
        self, folder: str, release: str, namespace: str, values: Mapping[str, object]
    ) -> Sequence[Node] | None:
        """What helm makes of a chart of the repository; None where it cannot be rendered."""
        if self.helm is None:
            return None
        chart = Chart(folder.rpartition("/")[2], "", self._repository.root / folder)
        try:
            rendered = self.helm.render(chart, release, namespace, values)
        except RenderError as err:
            self.problems.append(f"the chart {folder} was not rendered: {err}")
            return None
        return [item.node for item in rendered.objects]
