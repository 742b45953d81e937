"""Quantities: exact, and rounded up where the notation is finer than the unit."""

import copy
import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import UsageError
from analyzer.quantity import Cpu, Memory, Resources, parse_quantity


@pytest.mark.parametrize(
    ("text", "millicores"),
    [
        ("250m", 250),
        ("0.5", 500),
        (".5", 500),
        ("2", 2000),
        ("2.", 2000),
        ("500u", 1),
        ("1500u", 2),
        ("1n", 1),
        ("1e3", 1_000_000),
        ("1E-3", 1),
        ("+1", 1000),
        ("1k", 1_000_000),
        ("0", 0),
    ],
)
def test_cpu_reads_every_notation_rounding_up(text: str, millicores: int) -> None:
    """A CPU quantity is the least whole number of millicores that is not below it."""
    assert Cpu.parse(text) == Cpu(millicores)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("128Mi", 128 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("128M", 128_000_000),
        ("1e3", 1000),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("100m", 1),
        ("1Ki", 1024),
        ("0.3Ki", 308),
    ],
)
def test_memory_reads_every_notation_rounding_up(text: str, count: int) -> None:
    """A memory quantity is the least whole number of bytes that is not below it."""
    assert Memory.parse(text) == Memory(count)


@pytest.mark.parametrize(
    "text",
    ["", "1 Gi", "Gi", "1gi", "1KI", "0x10", "1e", "--1", "1_000", "NaN", "inf", "1Mi\n2", "١"],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """Anything Kubernetes would not accept raises, instead of being guessed at."""
    with pytest.raises(UsageError, match="not a Kubernetes quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["1e999", "9" * 60, "99999999E", "1e30"])
def test_what_is_larger_than_kubernetes_counts_is_capped(text: str) -> None:
    """As the API server does it: 2^63 - 1."""
    assert parse_quantity(text) == 2**63 - 1
    assert Memory.parse(text).human() == "8Ei"


def test_thousands_of_digits_are_refused_in_a_sentence() -> None:
    """Python refuses to turn them into a number, and nobody means them."""
    with pytest.raises(UsageError, match=r"999999999999\.\.\. \(5000 characters\) is too long"):
        Memory.parse("9" * 5000)


@given(st.integers(min_value=0, max_value=10**15))
def test_canonical_text_is_exact(units: int) -> None:
    """Writing an amount and reading it back changes nothing."""
    assert Cpu.parse(str(Cpu(units))) == Cpu(units)
    assert Memory.parse(str(Memory(units))) == Memory(units)


@given(st.floats(min_value=0, max_value=1e9))
def test_floats_round_up(value: float) -> None:
    """A float never becomes less than it was (to a microcore), and at most one unit more."""
    exact, millicores = Fraction(value), Fraction(value) * 1000
    assert exact <= Memory.from_bytes(value).units < exact + 1
    assert millicores - Fraction(1, 1000) <= Cpu.from_cores(value).units < millicores + 1


def test_float_noise_does_not_cost_a_unit() -> None:
    """0.1 is a little more than a tenth in binary, and more so in 32 bits; both are 100m."""
    assert Cpu.from_cores(0.1) == Cpu.from_cores(0.10000000149011612) == Cpu(100)
    assert Cpu.from_cores(0.1001) == Cpu(101)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Memory(3 * 2**29), "1536Mi"),
        (Memory(128_000_000), "128M"),
        (Memory(2**30), "1Gi"),
        (Memory(1001), "1001"),
        (Memory(0), "0"),
        (Cpu(1500), "1500m"),
        (Cpu(2000), "2"),
    ],
)
def test_text_is_what_a_manifest_would_hold(amount: Cpu | Memory, text: str) -> None:
    """The shortest exact notation wins."""
    assert str(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Cpu(35), "35m"),
        (Cpu(1250), "1.25"),
        (Cpu(12_345), "12.3"),
        (Memory(3 * 2**29), "1.5Gi"),
        (Memory(96 * 2**20), "96Mi"),
        (Memory(1472 * 2**20), "1472Mi"),
        (Memory(1472 * 2**20 + 1), "1.44Gi"),
        (Memory(1023), "1023"),
    ],
)
def test_human_text_is_short(amount: Cpu | Memory, text: str) -> None:
    """For people, three digits are enough, but what they may copy is exact."""
    assert amount.human() == text


def test_cpu_and_memory_do_not_mix() -> None:
    """Adding or comparing different kinds is a TypeError; they are never equal."""
    with pytest.raises(TypeError, match="cannot add Cpu and Memory"):
        Cpu(1) + Memory(1)
    with pytest.raises(TypeError, match="cannot compare"):
        Cpu(1) < Memory(1)  # noqa: B015  # the comparison itself must raise
    assert Cpu(1) != Memory(1)
    with pytest.raises(TypeError, match="whole units"):
        Cpu(1.5)  # type: ignore[arg-type]  # the wrong type is what is tested


def test_quantities_are_values() -> None:
    """They cannot be changed, and survive hashing, copying and pickling."""
    one = Cpu(250)
    with pytest.raises(AttributeError):
        one.units = 3
    # What it has just made.
    assert {one, Cpu(250)} == {copy.deepcopy(one)} == {pickle.loads(pickle.dumps(one))}  # noqa: S301


def test_scaling_rounds_up() -> None:
    """A tenth more of 5m is 6m, never 5m."""
    assert Cpu(5).scale(1.1) == Cpu(6)
    assert Memory(100).scale(0.5) == Memory(50)


def test_a_limit_alone_is_also_the_request() -> None:
    """Kubernetes defaults a missing request to the limit of the same resource."""
    declared = Resources(memory_limit=Memory(100), cpu_request=Cpu(1))
    assert declared.effective() == Resources(
        cpu_request=Cpu(1), memory_request=Memory(100), memory_limit=Memory(100)
    )


def test_manifest_form_leaves_out_what_is_not_set() -> None:
    """Only declared amounts are written, requests before limits."""
    declared = Resources(cpu_request=Cpu(100), memory_limit=Memory(2**20))
    assert declared.as_manifest() == {"requests": {"cpu": "100m"}, "limits": {"memory": "1Mi"}}
