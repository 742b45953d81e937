"""What a person can add to a HelmRelease for a container that its chart offers no value for."""

from __future__ import annotations

import json

from analyzer.gitops.land.outcome import DesiredChange
from analyzer.gitops.reach.release import Owner
from analyzer.gitops.text.resources import ROWS
from analyzer.gitops.text.spelling import spell
from analyzer.kinds import KINDS


def post_renderer_for(change: DesiredChange, owner: Owner) -> str:
    """The rest of a sentence with a post-renderer that makes the change; empty where none can.

    Flux alone has post-renderers, and kustomize merges the containers of Kubernetes' own kinds
    alone by name.
    """
    ref = change.ref
    kind = next((k for k in KINDS if k.name == ref.kind and k.merges_strategically), None)
    if owner.kind != "HelmRelease" or kind is None or kind.pod_path is None:
        return ""
    resources: dict[str, dict[str, str]] = {}
    for row in ROWS:
        amount = row.of(change.proposed)
        if amount is not None:
            above, name = row.path
            resources.setdefault(str(above), {})[str(name)] = spell(amount)
    if not resources:
        return ""
    pod: object = {"containers": [{"name": ref.container, "resources": resources}]}
    for key in reversed(kind.pod_path):
        pod = {key: pod}
    patch = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": ref.workload}}
    body = json.dumps({**patch, **(pod if isinstance(pod, dict) else {})}).replace("'", "''")
    target = json.dumps({"kind": kind.name, "name": ref.workload})
    return (
        "; a post-renderer does: add to its spec "
        f"postRenderers: [{{kustomize: {{patches: [{{target: {target}, patch: '{body}'}}]}}}}]"
    )
