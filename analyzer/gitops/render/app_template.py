"""What a Helm chart makes of its values, as far as that is known without the chart at hand.

app-template names its workloads and containers by rule, so its whole output can be foretold. For
other charts there is a table of values paths (`well_known`), each one found by rendering the
chart with an odd value at that path and looking where it landed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from analyzer.gitops.text.tree import Path
from analyzer.kinds import CRON_JOB, DAEMON_SET, DEPLOYMENT, JOB, STATEFUL_SET

ContainerType = Literal["app", "init", "sidecar"]

_KINDS = {
    kind.name.lower(): kind.name for kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, CRON_JOB, JOB)
}
_RELEASE_NAME = re.compile(r"\{\{-?\s*\.Release\.Name\s*-?\}\}")
_LIMIT = 63
APP_TEMPLATE = "app-template"
NEWEST_KNOWN = (4, 1)
"""The last version of app-template whose templates were rendered to check the naming rules."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A container that a release will have, and the values path of its `resources`.

    `workload` is None where the name depends on a template that cannot be worked out here.
    `inherited` is the path of defaults that apply because the container states none of its own.
    """

    kind: str
    workload: str | None
    container: str
    container_type: ContainerType
    path: Path
    controller: str | None = None
    inherited: Path | None = None


def app_template(
    release: str, version: str | None, values: Mapping[str, object], expand: Callable[[str], str]
) -> list[Rendered]:
    """Every container that app-template 2.x to 5.x renders from `values`.

    `expand` puts in the variables that Flux substitutes before Helm sees the values. The naming
    rules are those of the common library's `controller` templates of each major version.
    """
    major = major_version(version)
    if major == 1:
        return _first_app_template(release, values, expand)
    controllers = {
        key: controller
        for key, controller in _mapping(values.get("controllers")).items()
        if isinstance(controller, dict) and controller.get("enabled") is not False
    }
    found: list[Rendered] = []
    for key, controller in controllers.items():
        kind = _KINDS.get(str(controller.get("type") or "deployment"))
        if kind is None:
            continue
        name = _controller_name(release, version, values, expand(key), len(controllers), expand)
        found += _controller_containers(kind, name, key, controller, release, expand)
    return found


def naming_rule(version: str | None) -> str:
    """Why app-template of that version names its containers so, and how well that is known."""
    match = re.match(r"v?(\d+)\.(\d+)", version or "")
    newer = match is not None and (int(match[1]), int(match[2])) > NEWEST_KNOWN
    known = f", by the rules of {'.'.join(map(str, NEWEST_KNOWN))}" if newer else ""
    return f"app-template {version or '(version open)'} names it so{known}"


def major_version(version: str | None) -> int:
    """The major version of a chart as a release states it; the newest known where it is open."""
    match = re.search(r"\d+", version or "")
    if match is None:
        return 4
    return max(1, int(match.group()))


def _always_appends(version: str | None) -> bool:
    """Whether two controllers make app-template add a key that the name consists of already.

    Only 3.0.0, 3.0.1 and 4.0.x do: there the controller `web` of the release `web` is `web-web`
    as soon as another one stands beside it.
    """
    return re.match(r"v?(3\.0\.[01]|4\.0)(\D|$)", version or "") is not None


def fullname(release: str, chart: str, values: Mapping[str, object]) -> str:
    """The name most charts give their main workload, as `helm create` writes it."""
    override = values.get("fullnameOverride")
    if isinstance(override, str) and override:
        return override[:_LIMIT].removesuffix("-")
    name = values.get("nameOverride")
    name = name if isinstance(name, str) and name else chart
    joined = release if name in release else f"{release}-{name}"
    return joined[:_LIMIT].removesuffix("-")


def _first_app_template(
    release: str, values: Mapping[str, object], expand: Callable[[str], str]
) -> list[Rendered]:
    """app-template before 2.0: one controller, one main container named like the release."""
    controller = _mapping(values.get("controller"))
    kind = _KINDS.get(str(controller.get("type") or "deployment"), DEPLOYMENT.name)
    name = _fullname(release, values, expand)
    return [Rendered(kind, name, name or release, "app", ("resources",))]


def _fullname(
    release: str, values: Mapping[str, object], expand: Callable[[str], str]
) -> str | None:
    scope = _scope(values)
    full = scope.get("fullnameOverride") or values.get("fullnameOverride")
    if full:
        return _tidy(_template(str(full), release, expand))
    # Only the global nameOverride counts: app-template sets it to the release name otherwise.
    name = _template(str(scope.get("nameOverride") or release), release, expand)
    if name is None:
        return None
    return _tidy(release if name in release else f"{release}-{name}")


def _tidy(name: str | None) -> str | None:
    return None if name is None else name[:_LIMIT].removesuffix("-")


def _template(text: str, release: str, expand: Callable[[str], str]) -> str | None:
    """`text` with the release name put in; None where anything else is left to fill in."""
    filled = expand(_RELEASE_NAME.sub(release, text))
    return None if "{{" in filled or "${" in filled else filled


def _controller_name(
    release: str,
    version: str | None,
    values: Mapping[str, object],
    key: str,
    count: int,
    expand: Callable[[str], str],
) -> str | None:
    base = _fullname(release, values, expand)
    controllers = _mapping(values.get("controllers"))
    own = next((c for k, c in controllers.items() if expand(k) == key), None)
    controller = _mapping(own)
    if base is None:
        return None
    major = major_version(version)
    if major == 2:
        return _second_name(base, key, controller)
    if major == 3:
        alone = count <= 1 or (key == base and not _always_appends(version))
        return _third_name(base, "" if alone else f"-{key}", controller, release, expand)
    always = _scope(values).get("alwaysAppendIdentifierToResourceName") is True
    append = f"-{key}" if count > 1 or always else ""
    if append and key == base and not _always_appends(version):
        append = ""
    return _fourth_name(base, append, controller, release, expand)


def _second_name(base: str, key: str, controller: Mapping[str, object]) -> str:
    override = controller.get("nameOverride")
    if override:
        return f"{base}-{override}"
    return base if key == "main" else f"{base}-{key}"


def _third_name(
    base: str,
    append: str,
    controller: Mapping[str, object],
    release: str,
    expand: Callable[[str], str],
) -> str | None:
    override = controller.get("nameOverride")
    if override:
        name = _template(str(override), release, expand)
        return None if name is None else base if name == base else f"{base}-{name}"
    return base + append


def _fourth_name(
    base: str,
    append: str,
    controller: Mapping[str, object],
    release: str,
    expand: Callable[[str], str],
) -> str | None:
    texts = {
        part: _template(str(controller.get(part) or ""), release, expand)
        for part in ("forceRename", "prefix", "suffix")
    }
    if None in texts.values():
        return None
    if texts["forceRename"]:
        return texts["forceRename"].lower()
    name = base
    if texts["prefix"] and texts["prefix"] != name:
        name = f"{texts['prefix']}-{name}"
    if not name.endswith(append):
        name += append
    if texts["suffix"] and not name.endswith(f"-{texts['suffix']}"):
        name = f"{name}-{texts['suffix']}"
    return name.lower()


def _controller_containers(
    kind: str,
    workload: str | None,
    key: str,
    controller: Mapping[str, object],
    release: str,
    expand: Callable[[str], str],
) -> list[Rendered]:
    defaults = _mapping(controller.get("defaultContainerOptions")).get("resources")
    on_init = controller.get("applyDefaultContainerOptionsToInitContainers") is not False
    found: list[Rendered] = []
    for group in ("containers", "initContainers"):
        for name, container in _mapping(controller.get(group)).items():
            if not isinstance(container, dict) or container.get("enabled") is False:
                continue
            shown = _template(str(container.get("nameOverride") or name), release, expand)
            inherits = defaults and not container.get("resources")
            inherits = inherits and (group == "containers" or on_init)
            found.append(
                Rendered(
                    kind,
                    workload,
                    shown or name,
                    _type(group, container),
                    ("controllers", key, group, name, "resources"),
                    expand(key),
                    ("controllers", key, "defaultContainerOptions", "resources")
                    if inherits
                    else None,
                )
            )
    return found


def _type(group: str, container: Mapping[str, object]) -> ContainerType:
    if group == "containers":
        return "app"
    return "sidecar" if container.get("restartPolicy") == "Always" else "init"


def _scope(values: Mapping[str, object]) -> Mapping[str, object]:
    found = values.get("global")
    return found if isinstance(found, dict) else {}


def _mapping(value: object) -> dict[str, dict[str, object]]:
    return value if isinstance(value, dict) else {}
