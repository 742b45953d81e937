"""Edits of one text: what they change, what they keep, what they refuse."""

from __future__ import annotations

import json
import textwrap

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.edit import Assignment, set_values
from analyzer.gitops.text.refusal import EditRefusedError
from analyzer.gitops.text.resources import FIELDS, Changes, assignments, declared, set_resources
from analyzer.gitops.text.verify import prove_text
from analyzer.gitops.text.witness import said
from analyzer.quantity import Cpu, Memory

MI = 2**20
HERE = Address(0, ("app", "resources"))
ALL: Changes = {
    "requests.cpu": Cpu(35),
    "requests.memory": Memory(200 * MI),
    "limits.memory": Memory(900 * MI),
}


def dedent(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


BLOCK = dedent("""
    # head
    app:
      image: x   # two   spaces
      resources:
        requests:
          cpu: 250m   # by feel
          memory: "1Gi"
        limits:
          memory: 2Gi
      other: &anchor {a: 'q', b: "r"}
    tail: *anchor
    """)


def test_only_the_values_change() -> None:
    """Comments, padding, quotes and everything around stay character for character."""
    wanted = BLOCK.replace("250m", "35m").replace('"1Gi"', '"200Mi"').replace("2Gi\n", "900Mi\n")
    assert set_resources(BLOCK, HERE, ALL) == wanted


def test_the_same_amount_is_not_rewritten() -> None:
    """An edit to what is there already, however it is spelled, changes nothing."""
    same: Changes = {
        "requests.cpu": Cpu.parse("0.25"),
        "requests.memory": Memory.parse("1024Mi"),
        "limits.memory": Memory.parse("2048Mi"),
    }
    assert set_resources(BLOCK, HERE, same) == BLOCK


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("final", [True, False])
def test_line_endings_and_marks_survive(newline: str, mark: str, final: bool) -> None:
    """CRLF, a byte order mark and a missing final newline are kept and extended in kind."""
    text = "app:\n  image: x\n".replace("\n", newline)
    text = mark + (text if final else text.removesuffix(newline))
    edited = set_resources(text, HERE, {"requests.cpu": Cpu(10)})
    lines = ["app:", "  image: x", "  resources:", "    requests:", "      cpu: 10m"]
    assert edited == mark + newline.join(lines) + (newline if final else "")


def test_a_missing_block_takes_the_place_it_has_elsewhere_in_the_file() -> None:
    """Where a sibling has its resources after `image`, the new block goes there too."""
    text = dedent("""
        containers:
            a:
                image: x
                resources:
                    limits:
                        memory: 1Gi
                ports: []
            b:
                image: y
                ports: []
        """)
    edited = set_resources(text, Address(0, ("containers", "b", "resources")), ALL)
    assert edited == text.replace(
        "        image: y\n",
        dedent("""
            ....image: y
            ....resources:
            ........requests:
            ............cpu: 35m
            ............memory: 200Mi
            ........limits:
            ............memory: 900Mi
            """)
        .replace(".", " ")
        .replace("    image: y", "        image: y", 1)
        .replace("\n    ", "\n        "),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "app: {image: x}\n",
            "app: {image: x, resources: {requests: {cpu: 35m, memory: 200Mi}, "
            "limits: {memory: 900Mi}}}\n",
        ),
        (
            "app:\n  resources: {requests: {cpu: '0.1'}}\n",
            "app:\n  resources: {requests: {cpu: '35m', memory: 200Mi}, limits: {memory: 900Mi}}\n",
        ),
        (
            "app: { image: x }\n",
            "app: { image: x, resources: { requests: { cpu: 35m, memory: 200Mi }, "
            "limits: { memory: 900Mi } } }\n",
        ),
        (
            "app:\n  resources:\n    {}\n  z: 1\n",
            "app:\n  resources:\n    requests:\n      cpu: 35m\n      memory: 200Mi\n"
            "    limits:\n      memory: 900Mi\n  z: 1\n",
        ),
        (
            "app:\n  resources: {} # none yet\n  z: 1\n",
            "app:\n  resources: # none yet\n    requests:\n      cpu: 35m\n      memory: 200Mi\n"
            "    limits:\n      memory: 900Mi\n  z: 1\n",
        ),
        (
            "app:\n  resources:\n    limits:\n      memory: 2G\n",
            "app:\n  resources:\n    requests:\n      cpu: 35m\n      memory: 210M\n"
            "    limits:\n      memory: 944M\n",
        ),
        (
            "app:\n  args: |\n    a\n\n    b\n\n# tail\n",
            "app:\n  args: |\n    a\n\n    b\n  resources:\n    requests:\n      cpu: 35m\n"
            "      memory: 200Mi\n    limits:\n      memory: 900Mi\n\n# tail\n",
        ),
    ],
)
def test_blocks_are_inserted_in_the_style_around_them(before: str, after: str) -> None:
    """Flow stays flow, `{}` opens under a block, blank lines and comments keep their owner."""
    assert set_resources(before, HERE, ALL) == after
    assert prove_text(before, after, assignments(HERE, ALL)).holds


def test_removal_takes_what_it_leaves_empty() -> None:
    """A field that goes takes its empty parent along, but never `resources` itself."""
    text = "app:\n  resources:\n    limits:\n      cpu: 1\n      memory: 1Gi\n  z: 1\n"
    one = set_resources(text, HERE, {"limits.cpu": None})
    assert one == "app:\n  resources:\n    limits:\n      memory: 1Gi\n  z: 1\n"
    assert set_resources(one, HERE, {"limits.memory": None}) == "app:\n  resources: {}\n  z: 1\n"


def test_block_scalars_are_edited_inside() -> None:
    """YAML inside a literal block scalar is edited with its own indentation."""
    text = dedent("""
        patches:
          - patch: |
              spec:
                resources:
                  limits:
                    memory: 1Gi

              # end
            target: {kind: Deployment}
        """)
    address = Address(0, ("patches", 0, "patch"), Address(0, ("spec", "resources")))
    edited = set_resources(text, address, {"limits.memory": Memory(64 * MI)})
    assert edited == text.replace("1Gi", "64Mi")
    assert prove_text(text, edited, assignments(address, {"limits.memory": Memory(64 * MI)})).holds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x: &r {limits: {memory: 1Gi}}\napp: {resources: *r}\n", "is an alias"),
        ("app: {resources: &r {limits: {memory: 1Gi}}}\nx: *r\n", "other places reuse"),
        ("app: {resources: {limits: {memory: &m 1Gi}, requests: {memory: *m}}}\n", "other places"),
        ("b: &b {limits: {}}\napp: {resources: {<<: *b}}\n", "merge key"),
        ("app: {resources: {limits: {memory: '${MEM:=1Gi}'}}}\n", "filled in elsewhere"),
        ("app: {resources: {limits: {memory: '{{ .m }}'}}}\n", "filled in elsewhere"),
        ("app: {resources: {limits: {memory: ~}}}\n", "null"),
        ("app: {resources: {limits: }}\n", "null"),
        ("app:\n  resources:\n", "null"),
        ("app: {resources: {limits: {memory: 010}}}\n", "no plain quantity"),
        ("app: {resources: {limits: {memory: !custom 1Gi}}}\n", "tag"),
        ("app: {resources: {limits: {memory: 1, memory: 2}}}\n", "written 2 times"),
        ("app: {resources: {limits: {}}}\napp: {}\n", "written 2 times"),
        ("app: {resources: [1]}\n", "expected a mapping"),
        ("app: {resources: text}\n", "expected a mapping"),
        ("app: {resources: {}}\nsops: {mac: x}\n", "SOPS"),
        ("# Code generated by a tool. DO NOT EDIT.\napp: {resources: {}}\n", "generated"),
        ("other: {}\n---\n", "nothing there|the document is null"),
        ("app: {resources: {limits: {memory: 100Mi}}}\n", "above the limit"),
    ],
)
def test_refusals_say_why(text: str, reason: str) -> None:
    """What an edit could not do safely is refused in words, and the text is left alone."""
    changes: Changes = {"limits.memory": Memory(64 * MI)}
    if "above" in reason:
        changes = {"requests.memory": Memory(200 * MI)}
    address = Address(1, ("app", "resources")) if "nothing there" in reason else HERE
    with pytest.raises(EditRefusedError, match=reason):
        set_resources(text, address, changes)


def test_a_folded_block_scalar_is_refused() -> None:
    """Folding makes one line of many, so nothing inside has a place of its own."""
    text = "p: >\n  resources: {limits: {memory: 1Gi}}\n"
    address = Address(0, ("p",), Address(0, ("resources",)))
    with pytest.raises(EditRefusedError, match="no literal block"):
        set_resources(text, address, {"limits.memory": Memory(MI)})


def test_rounding_up_never_lifts_a_request_over_its_limit() -> None:
    """128Mi is 135M in the request's decimal unit and 128Mi in the limit's: then exact wins."""
    text = "app: {resources: {requests: {memory: 100M}, limits: {memory: 1Gi}}}\n"
    both: Changes = {"requests.memory": Memory(128 * MI), "limits.memory": Memory(128 * MI)}
    stated = declared(set_resources(text, HERE, both), HERE)
    assert stated == {"requests.memory": "128Mi", "limits.memory": "128Mi"}


# --- laws over generated files ----------------------------------------------------------------

_AMOUNTS = st.fixed_dictionaries(
    {},
    optional={
        "requests.cpu": st.integers(1, 4000).map(Cpu),
        "requests.memory": st.integers(1, 2**10).map(lambda n: Memory(n * MI)),
        "limits.cpu": st.integers(4000, 9000).map(Cpu),
        "limits.memory": st.integers(2**10, 2**14).map(lambda n: Memory(n * MI)),
    },
)
_NOISE = st.sampled_from(
    [
        "  note: plain",
        "  text: |\n    resources:\n      limits:\n        memory: 1Gi",
        "  folded: >-\n    one\n    two",
        "  'quoted': \"tab\\t and ü 😀\"",
        "  equals: =",
        "  octal: 0755",
        "  anchor: &a {x: 1}\n  alias: *a",
        "  anchor: &a 1\n  again: &a 2\n  alias: *a",
        "  flow: [1, {a: b}, 'c'] # resources: {}",
        "  # a comment: of its own",
        "",
    ]
)


@st.composite
def _files(draw: st.DrawFn) -> tuple[str, Address]:
    noise = draw(st.lists(_NOISE, max_size=5, unique_by=lambda line: line.split(":")[0]))
    split = draw(st.integers(0, len(noise)))
    block = draw(
        st.sampled_from(
            [
                "",
                "  resources: {}",
                "  resources: {limits: {memory: 2Gi}}",
                "  resources:\n    limits:\n      memory: 2G # why",
                "  resources:\n    # first\n    requests:\n      cpu: '0.5'\n      memory: 64M",
                '  resources:\n      limits:\n          cpu: 8\n          memory: "20Gi"',
            ]
        )
    )
    lines = ["app:", "  image: x", *noise[:split], *filter(None, [block]), *noise[split:]]
    text = "\n".join(lines) + draw(
        st.sampled_from(["\n", "", "\n\n", "\n---\nother: 1\n", "\n...\n"])
    )
    document = draw(st.integers(0, 1))
    if document:
        text = draw(st.sampled_from(["# c\n---\nfirst: 1\n---\n", "first: {a: 1}\n---\n"])) + text
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return text, Address(document, ("app", "resources"))


@given(file=_files(), changes=_AMOUNTS)
def test_every_edit_is_proven_or_refused(file: tuple[str, Address], changes: Changes) -> None:
    """Over odd files: an edit either passes the proof, states what was asked, or is refused."""
    text, address = file
    try:
        edited = set_resources(text, address, changes)
    except EditRefusedError:
        return
    proof = prove_text(text, edited, assignments(address, changes))
    assert proof.holds, proof.problem
    assert set_resources(edited, address, changes) == edited


@given(file=_files(), changes=_AMOUNTS)
def test_an_independent_loader_sees_the_intended_leaves_alone(
    file: tuple[str, Address], changes: Changes
) -> None:
    """PyYAML's own loader, where it can read the file, finds no other difference."""
    text, address = file
    try:
        before = list(yaml.load_all(text, yaml.BaseLoader))
        after = list(yaml.load_all(set_resources(text, address, changes), yaml.BaseLoader))
    except (EditRefusedError, yaml.YAMLError):
        return
    for documents in (before, after):
        resources = documents[address.document]["app"].pop("resources", None) or {}
        for field in FIELDS:
            part, name = field.split(".")
            resources.get(part, {}).pop(name, None)
        assert not any(resources.get(part) for part in ("requests", "limits"))
    assert before == after


def test_blank_lines_of_odd_spacing_survive_in_block_scalars() -> None:
    """Lines of too few or too many spaces are kept as they are around the edited line."""
    text = (
        "p: |\n    a: 1\n  \n    resources:\n      \n      limits:\n        memory: 1Gi\n \nq: 1\n"
    )
    address = Address(0, ("p",), Address(0, ("resources",)))
    changes: Changes = {"limits.memory": Memory(64 * MI), "requests.cpu": Cpu(10)}
    edited = set_resources(text, address, changes)
    wanted = text.replace("1Gi", "64Mi").replace(
        "      limits:\n", "      requests:\n        cpu: 10m\n      limits:\n"
    )
    assert edited == wanted
    assert prove_text(text, edited, assignments(address, changes)).holds
    assert not prove_text(
        text, edited.replace("\n  \n", "\n\n"), assignments(address, changes)
    ).holds


def test_a_path_tells_its_keys_apart() -> None:
    """A key with a dot is not two keys."""
    path = ("spec", "a.b", "containers", 0, "resources")
    assert dotted(path) == 'spec["a.b"].containers[0].resources'


@pytest.mark.parametrize(
    ("about", "missing", "changes"),
    [
        ("memory", "      cpu: 35m\n", {"requests.cpu": Cpu(35)}),
        ("limits", "    requests:\n      cpu: 35m\n", {"requests.cpu": Cpu(35)}),
    ],
)
def test_a_comment_stays_with_the_key_it_is_about(
    about: str, missing: str, changes: Changes
) -> None:
    """A new key never goes between a comment and the key below it; it then comes last."""
    if about == "memory":
        text = "app:\n  resources:\n    requests:\n      # measured\n      memory: 1Gi\n"
    else:
        text = "app:\n  resources:\n    # measured\n    limits:\n      memory: 1Gi\n"
    assert set_resources(text, HERE, changes) == text + missing


# --- any scalar -------------------------------------------------------------------------------

SCALED = dedent("""
    apiVersion: autoscaling/v2
    kind: HorizontalPodAutoscaler
    spec:
      maxReplicas: 5
      metrics:
        - type: Resource
          resource:
            name: cpu
            target: {type: Utilization, averageUtilization: 80} # of the request
    ---
    kind: Pod
    spec:
      resources:
        limits: {memory: 2G}
      containers:
        - name: app
          env:
            - name: JAVA_OPTS
              value: "-Xms256m -Xmx1g"
          args: [-Xmx1g]
          resources:
            requests:
              memory: 1Gi
    """)
TARGET = Address(0, ("spec", "metrics", 0, "resource", "target", "averageUtilization"))
POD = Address(1, ("spec", "resources", "limits", "memory"))
HEAP = Address(1, ("spec", "containers", 0, "env", 0, "value"))
ARGUMENT = Address(1, ("spec", "containers", 0, "args", 0))
OWN = Address(1, ("spec", "containers", 0, "resources", "requests", "memory"))


def test_several_places_of_several_kinds_are_written_at_once() -> None:
    """A target, pod-level resources, a heap and a request: one list of addresses and values."""
    wanted: list[Assignment] = [
        (TARGET, 65),
        (POD, Memory(900 * MI)),
        (HEAP, "-Xms256m -Xmx512m"),
        (ARGUMENT, "-Xmx512m"),
        (OWN, Memory(700 * MI)),
        (Address(0, ("spec", "minReplicas")), 2),
    ]
    edited = set_values(SCALED, wanted)
    assert edited == SCALED.replace("averageUtilization: 80", "averageUtilization: 65").replace(
        "memory: 2G}", "memory: 944M}"
    ).replace('"-Xms256m -Xmx1g"', '"-Xms256m -Xmx512m"').replace("[-Xmx1g]", "[-Xmx512m]").replace(
        "memory: 1Gi", "memory: 700Mi"
    ).replace("\n---", "\n  minReplicas: 2\n---")
    proof = prove_text(SCALED, edited, wanted)
    assert proof.holds, proof.problem
    assert set(proof.changed) == {address for address, _ in wanted}
    for sabotaged in (
        edited.replace("averageUtilization: 65", "averageUtilization: 66"),
        edited.replace('-Xmx512m"', '-Xmx513m"'),
        edited.replace("maxReplicas: 5", "maxReplicas: 6"),
        edited.replace("  minReplicas: 2\n", ""),
    ):
        assert not prove_text(SCALED, sabotaged, wanted).holds


@pytest.mark.parametrize(
    ("value", "reason"),
    [("a: b", "quotes"), ("x # y", "quotes"), ("it's", "quotes"), ("-Xmx1g ", "quotes")],
)
def test_a_text_that_would_need_quotes_is_refused(value: str, reason: str) -> None:
    """Only words that mean the same plain and in any quotes are written."""
    with pytest.raises(EditRefusedError, match=reason):
        set_values(SCALED, [(HEAP, value)])


def test_a_number_is_not_written_over_something_else() -> None:
    """A whole number goes where one stands: an octal, a name or a variable is left to a person."""
    for odd in ("080", "eighty", "'${TARGET}'"):
        text = SCALED.replace("averageUtilization: 80", f"averageUtilization: {odd}")
        with pytest.raises(EditRefusedError):
            set_values(text, [(TARGET, 65)])


def test_json_stays_json() -> None:
    """In a JSON manifest keys and amounts that come get the quotes that JSON needs."""
    text = '{\n  "app": {\n    "resources": {"limits": {"memory": "1Gi"}}\n  }\n}\n'
    edited = set_resources(text, HERE, ALL)
    assert json.loads(edited)["app"]["resources"] == {
        "limits": {"memory": "900Mi"},
        "requests": {"cpu": "35m", "memory": "200Mi"},
    }
    assert prove_text(text, edited, assignments(HERE, ALL)).holds


def test_a_block_scalar_may_state_its_own_indentation() -> None:
    """``|2`` whose first line is indented further is edited like any other."""
    text = "p: |2\n    # deep\n  resources:\n    limits:\n      memory: 1Gi\nq: 1\n"
    address = Address(0, ("p",), Address(0, ("resources",)))
    changes: Changes = {"limits.memory": Memory(64 * MI)}
    edited = set_resources(text, address, changes)
    assert edited == text.replace("1Gi", "64Mi")
    assert prove_text(text, edited, assignments(address, changes)).holds


def test_the_witness_reads_leaves_by_itself() -> None:
    """Documents, lists, quotes, block scalars; nothing through aliases, and the last of two."""
    text = "a: 1\n---\nb: [x, {c: 'two'}]\nd: |\n  e: 3\nf: &n 4\ng: *n\nh: 5\nh: 6\n"
    asked = {
        Address(1, ("b", 1, "c")): "two",
        Address(1, ("d",), Address(0, ("e",))): "3",
        Address(1, ("h",)): "6",
    }
    missing = [Address(0, ("b",)), Address(1, ("g",)), Address(1, ("b", 2)), Address(2, ("a",))]
    assert said(text, [*asked, *missing]) == asked


@pytest.mark.parametrize("text", ["?", "? a\n: b\n", "? {a: 1}\n: 2\n"])
def test_a_mapping_with_question_marks_takes_no_entry(text: str) -> None:
    """What would be put beside such a key would belong to it, or break the file."""
    address = Address(0, ("spec", "values", "resources", "requests", "memory"))
    with pytest.raises(EditRefusedError, match="cannot be added in the way"):
        set_values(text, [(address, Memory.parse("64Mi"))])


def test_a_key_may_be_an_alias() -> None:
    """It is called what its anchor says; an edit below it is that key's alone."""
    text = "name: &app web\napps:\n  *app :\n    memory: 1Gi # mine\n  other: {memory: 1Gi}\n"
    here = Address(0, ("apps", "web", "memory"))
    beside = Address(0, ("apps", "web", "cpu"))
    assert said(text, [here]) == {here: "1Gi"}
    wanted: list[Assignment] = [(here, Memory(300 * MI)), (beside, Cpu(35))]
    after = set_values(text, wanted)
    assert after == text.replace("1Gi # mine", "300Mi # mine").replace(
        "    memory: 3", "    cpu: 35m\n    memory: 3"
    )
    assert prove_text(text, after, wanted).changed == (here, beside)
    broken = after.replace("*app :", "web:")
    assert not prove_text(text, broken, wanted).holds
