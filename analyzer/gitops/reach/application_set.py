"""What an ApplicationSet generates, as far as the repository alone decides it.

Generators yield parameters by dotted name, and `fill` puts them into a template's texts. What only
the cluster knows (which clusters there are, what a plugin answers) stays open: the text keeps its
``{{...}}`` and nothing is guessed.
"""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from analyzer.gitops.reach.repository import Repository
from analyzer.gitops.text.tree import Node, plain

Parameters = Mapping[str, str]

_ACTION = re.compile(r"\{\{-?(?P<body>[^{}]*?)-?\}\}")
_FIELD = re.compile(r"\.?(?P<name>[A-Za-z_][\w-]*(?:\.[\w-]+|\[[\w-]+\])*)", re.ASCII)
_INDEX = re.compile(
    r"index\s+\.(?P<name>[\w.-]+)\s+(?P<keys>(?:\d+|\"[^\"]*\")(?:\s+\S+)*)", re.ASCII
)
_DIG = re.compile(r"dig\s+(?P<words>(?:\"[^\"]*\"\s+)+)\.", re.ASCII)
_DEFAULT = re.compile(r"default\s+\"(?P<text>[^\"]*)\"")
_NOT_NORMAL = re.compile(r"[^a-z0-9.-]+")
_MOST = 5_000
_MOST_DEEP = 3
_NESTED = ("matrix", "merge")
ONE_UNKNOWN = frozenset({"clusters", "clusterDecisionResource", "plugin"})
"""Generators that yield at least one application of which the repository tells no parameter."""


@dataclass(frozen=True, slots=True)
class Generated:
    """The parameters of each application, and the generators that only the cluster can answer."""

    parameters: tuple[Parameters, ...]
    unanswered: tuple[str, ...] = ()


def generate(spec: Node, repository: Repository) -> Generated:
    """Every application that the generators of an ApplicationSet's `spec` yield, in their order.

    Raises `YamlError` where a file of parameters is an alias bomb.
    """
    found: list[Parameters] = []
    unanswered: list[str] = []
    for generator in spec.sequence("generators"):
        found += itertools.islice(_yielded(generator, repository, {}, unanswered), _MOST)
    return Generated(tuple(found[:_MOST]), tuple(dict.fromkeys(unanswered)))


def fill(text: str, parameters: Parameters) -> str:
    """`text` with what `parameters` know put in; everything else stays as written."""
    return _ACTION.sub(lambda match: _value(match["body"].strip(), parameters, match.group()), text)


def is_open(text: str) -> bool:
    """Whether a filled text still waits for something that only the cluster knows."""
    return "{{" in text


def _value(body: str, parameters: Parameters, otherwise: str) -> str:
    """What one action stands for; `otherwise` where that cannot be told."""
    head, *filters = [part.strip() for part in body.split("|")]
    value = _looked_up(head, parameters)
    for name in filters:
        default = _DEFAULT.fullmatch(name)
        if default is not None:
            value = value or default["text"]
        elif value is None or name not in _FILTERS:
            return otherwise
        else:
            value = _FILTERS[name](value)
    return otherwise if value is None else value


def _looked_up(head: str, parameters: Parameters) -> str | None:
    field = _FIELD.fullmatch(head)
    if field is not None:
        return parameters.get(field["name"])
    index = _INDEX.fullmatch(head)
    if index is not None:
        keys = [key.strip('"') for key in index["keys"].split()]
        return parameters.get(".".join([index["name"], *keys]))
    dig = _DIG.fullmatch(head)
    if dig is not None:
        *keys, default = (match[1] for match in re.finditer(r'"([^"]*)"', dig["words"]))
        return parameters.get(".".join(keys), default)
    return None


def normalized(name: str) -> str:
    """A name as Argo CD's `normalize` makes it: what Kubernetes would take."""
    return _NOT_NORMAL.sub("-", name.lower()).strip("-.")[:253]


_FILTERS: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "normalize": normalized,
    "quote": str,
    "squote": str,
    "trim": str.strip,
}


# --- generators -------------------------------------------------------------------------------


def _yielded(
    generator: Node, repository: Repository, outer: Parameters, unanswered: list[str]
) -> Iterator[Parameters]:
    """What one generator yields; `outer` are the parameters of the generator it is nested in."""
    for parameters in _generated(generator, repository, outer, unanswered):
        if _selects(generator.at("selector"), parameters):
            yield parameters


def _selects(selector: Node | None, parameters: Parameters) -> bool:
    """Whether a generator's `selector` keeps these parameters.

    What the cluster alone knows cannot be compared: a parameter that is not there is kept.
    """
    if selector is None:
        return True
    for key, wanted in selector.mapping("matchLabels"):
        if parameters.get(key, wanted.value) != wanted.value:
            return False
    for rule in selector.sequence("matchExpressions"):
        value = parameters.get(rule.text("key") or "")
        values = {each.value for each in rule.sequence("values")}
        operator = rule.text("operator")
        if value is not None and (
            (operator == "In" and value not in values)
            or (operator == "NotIn" and value in values)
            or operator == "DoesNotExist"
        ):
            return False
    return True


def _generated(
    generator: Node, repository: Repository, outer: Parameters, unanswered: list[str]
) -> Iterator[Parameters]:
    for kind, node in generator.mapping():
        if kind == "list":
            yield from _of_list(node, outer)
            if node.at("elementsYaml") is not None:
                unanswered.append("list.elementsYaml")
        elif kind == "git":
            yield from _of_git(node, repository, outer)
        elif kind in _NESTED:
            inner = node.sequence("generators")
            combine = _of_matrix if kind == "matrix" else _of_merge
            keys = [key.value for key in node.sequence("mergeKeys")]
            yield from combine(inner, keys, repository, outer, unanswered)
        elif kind in ONE_UNKNOWN:
            unanswered.append(kind)
            yield {**outer, **_flat("values", node.at("values"))}
        elif kind != "selector":
            unanswered.append(kind)


def _of_list(node: Node, outer: Parameters) -> Iterator[Parameters]:
    for element in node.sequence("elements"):
        yield {**outer, **_flat("", element)}


def _of_git(node: Node, repository: Repository, outer: Parameters) -> Iterator[Parameters]:
    values = _flat("values", node.at("values"))
    directories = [
        (fill(entry.text("path") or "", outer), entry.flag("exclude") is True)
        for entry in node.sequence("directories")
    ]
    wanted = [pattern for pattern, exclude in directories if not exclude]
    unwanted = [pattern for pattern, exclude in directories if exclude]
    for folder in sorted(repository.folders):
        if _fits_any(folder, wanted) and not _fits_any(folder, unwanted):
            yield {**outer, **_path_parameters(folder), **values}
    for entry in node.sequence("files"):
        pattern = fill(entry.text("path") or "", outer)
        for file, source in repository.files.items():
            if _fits(file, pattern):
                for document in source.documents:
                    own = _flat("", document.root)
                    path = _path_parameters(str(PurePosixPath(file).parent), file)
                    yield {**outer, **own, **path, **values}


def _of_matrix(
    generators: Sequence[Node],
    _keys: Sequence[str],
    repository: Repository,
    outer: Parameters,
    unanswered: list[str],
) -> Iterator[Parameters]:
    """Every combination; a later generator may use what an earlier one yielded.

    One generator after the other, each cut off: a last one that yields nothing would otherwise be
    asked for combinations without end.
    """
    found: list[Parameters] = [outer]
    for generator in generators:
        every = (
            more for known in found for more in _yielded(generator, repository, known, unanswered)
        )
        found = list(itertools.islice(every, _MOST))
    yield from found


def _of_merge(
    generators: Sequence[Node],
    keys: Sequence[str],
    repository: Repository,
    outer: Parameters,
    unanswered: list[str],
) -> Iterator[Parameters]:
    """What the first generator yields, overruled by later ones where the `keys` agree."""
    if not generators:
        return
    base, *others = [
        list(itertools.islice(_yielded(each, repository, outer, unanswered), _MOST))
        for each in generators
    ]
    for parameters in base:
        merged = dict(parameters)
        for over in itertools.chain.from_iterable(others):
            if keys and all(k in over and over[k] == parameters.get(k) for k in keys):
                merged.update(over)
        yield merged


def _flat(prefix: str, node: Node | None) -> dict[str, str]:
    """The scalars below a node by dotted path, items of lists by number."""
    return {} if node is None else dict(_leaves(prefix, plain(node)))


def _leaves(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, below in entries:
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), below)
    elif isinstance(value, bool):
        yield prefix, str(value).lower()
    elif value is not None:
        yield prefix, str(value)


def _path_parameters(folder: str, file: str | None = None) -> dict[str, str]:
    """The parameters of a folder, by the names of plain and of Go templates."""
    path = "" if folder == "." else folder
    base = PurePosixPath(path).name
    found = {"path": path, "path.path": path, "path.basename": base}
    found["path.basenameNormalized"] = normalized(base)
    for number, segment in enumerate(path.split("/")):
        found[f"path[{number}]"] = found[f"path.segments.{number}"] = segment
    if file is not None:
        name = PurePosixPath(file).name
        found |= {"path.filename": name, "path.filenameNormalized": normalized(name)}
    return found


def _fits_any(path: str, patterns: Sequence[str]) -> bool:
    return any(_fits(path, pattern) for pattern in patterns)


def _fits(path: str, pattern: str) -> bool:
    """Whether `path` fits a pattern in which ``*`` stays within a folder and ``**`` does not.

    Patterns come from strangers, and each ``**`` multiplies the ways to match: few are allowed.
    """
    patterns = pattern.strip("/").split("/")
    return patterns.count("**") <= _MOST_DEEP and _fits_parts(path.split("/"), patterns)


def _fits_parts(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_fits_parts(parts[n:], patterns[1:]) for n in range(len(parts) + 1))
    here = bool(parts) and fnmatch.fnmatchcase(parts[0], patterns[0])
    return here and _fits_parts(parts[1:], patterns[1:])
