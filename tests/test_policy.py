"""Policies: which one holds, and the steps on one amount."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import ConfigError
from analyzer.policy import Policies, Policy, Rule, round_up, worth_changing
from analyzer.quantity import Cpu, Memory
from tests.samples import ref

MIB = 1024**2


@given(st.integers(1, 200_000))
def test_cpu_rounds_up_by_little(units: int) -> None:
    """Never below the demand, and never more than 10 % or 5m above it."""
    rounded = round_up(Cpu(units)).units
    assert units <= rounded < units + max(6, units * 0.1 + 1)


@given(st.integers(1, 2**45))
def test_memory_rounds_up_by_little(units: int) -> None:
    """Never below the demand, at most a sixteenth or a mebibyte above it, in whole mebibytes."""
    rounded = round_up(Memory(units)).units
    assert units <= rounded < units + max(MIB, units / 8)
    assert rounded % MIB == 0


@given(st.integers(1, 200_000))
def test_rounding_twice_is_rounding_once(units: int) -> None:
    """A rounded amount is already one a person would write."""
    once = round_up(Cpu(units))
    assert round_up(once) == once


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        (Cpu(3), "5m"),
        (Cpu(97), "100m"),
        (Cpu(101), "110m"),
        (Cpu(251), "275m"),
        (Cpu(1001), "1100m"),
        (Memory(60 * MIB), "60Mi"),
        (Memory(65 * MIB), "68Mi"),
        (Memory(1000 * MIB), "1Gi"),
        (Memory(1025 * MIB), "1088Mi"),
    ],
)
def test_rounded_amounts_look_written_by_a_person(amount: Cpu | Memory, rounded: str) -> None:
    """Worked values."""
    assert str(round_up(amount)) == rounded


@pytest.mark.parametrize(
    ("now", "proposed", "worth"),
    [
        (Cpu(1000), Cpu(910), False),
        (Cpu(1000), Cpu(900), True),
        (Cpu(20), Cpu(15), False),
        (Cpu(1000), Cpu(1060), True),
        (Cpu(1000), Cpu(1040), False),
        (Memory(20 * MIB), Memory(25 * MIB), True),
        (Memory(20 * MIB), Memory(23 * MIB), False),
        (Memory(1024 * MIB), Memory(1000 * MIB), False),
        (Memory(64 * MIB), Memory(48 * MIB), False),
        (Memory(96 * MIB), Memory(64 * MIB), True),
        (Cpu(100), Cpu(100), False),
    ],
)
def test_small_changes_are_not_worth_a_restart(
    now: Cpu | Memory, proposed: Cpu | Memory, worth: bool
) -> None:
    """A change must be large both absolutely and relatively; raising needs less of both."""
    assert worth_changing(now, proposed, Policy()) is worth


def test_later_rules_win_and_annotations_win_over_rules() -> None:
    """Defaults, then rules in order, then the workload's own annotations."""
    policies = Policies(
        rules=(
            Rule(namespace="shop", set={"cpu_floor": "20m", "memory_floor": "64Mi"}),
            Rule(workload="w*", set={"cpu_floor": "30m"}),
            Rule(namespace="other", set={"cpu_floor": "1"}),
        )
    )
    policy = policies.of(ref(), {"rightsize_io_memory_floor": "128Mi", "unrelated": "x"})
    assert policy.cpu_floor == Cpu(30)
    assert policy.memory_floor == Memory(128 * MIB)
    assert policies.of(ref(workload="api")).cpu_floor == Cpu(20)


def test_annotations_are_text_and_may_hold_numbers() -> None:
    """Annotation values are always text in Kubernetes."""
    policy = Policies().of(
        ref(), {"rightsize_io_max_decrease": "0.5", "rightsize_io_keep_qos": "true"}
    )
    assert policy.max_decrease == 0.5
    assert policy.keep_qos


@pytest.mark.parametrize(
    ("setting", "amount", "complaint"),
    [
        ("cpu_ceiling", "0", "cpu_ceiling must be between 1m and 1000000, found 0"),
        ("cpu_floor", "-5m", "cpu_floor must be between"),
        ("memory_ceiling", "-1Gi", "memory_ceiling must be between 1Mi and 1Ei"),
        ("memory_ceiling", "8Mi", r"memory_ceiling \(8Mi\) must not lie below memory_floor"),
        ("memory_floor", "100m", "memory_floor must be between 1Mi and 1Ei, found 1"),
        ("memory_floor", "1e999", "memory_floor must be between"),
        ("memory_floor", "9" * 5000, "too long for a Kubernetes quantity"),
        ("min_change_cpu", "-1", "min_change_cpu must be between"),
        ("min_samples", "0", "min_samples must be between"),
    ],
)
def test_amounts_are_positive_and_bounded(setting: str, amount: str, complaint: str) -> None:
    """Nothing that a policy or a stranger's annotation says leads to a request of nothing."""
    with pytest.raises(ConfigError, match=complaint):
        Policies(rules=(Rule(set={setting: int(amount) if setting == "min_samples" else amount}),))
    with pytest.raises(ConfigError, match=complaint):
        Policies().of(ref(), {f"rightsize_io_{setting}": amount})


def test_a_ceiling_and_a_floor_that_cross_by_two_rules_skip_the_container() -> None:
    """Each rule is fine alone; where both match, there is no amount to propose."""
    rules = (Rule(set={"cpu_floor": "2"}), Rule(workload="w*", set={"cpu_ceiling": "1"}))
    with pytest.raises(ConfigError, match=r"cpu_ceiling \(1\) must not lie below cpu_floor \(2\)"):
        Policies(rules=rules).of(ref())


def test_annotations_count_in_both_spellings() -> None:
    """As Kubernetes has them, and as kube-state-metrics writes them."""
    for key in ("rightsize.io/direction", "rightsize_io_direction"):
        assert Policies().of(ref(), {key: "off"}).direction == "off"


@pytest.mark.parametrize(
    "annotations",
    [
        {"rightsize_io_cpu_floor": "lots"},
        {"rightsize_io_no_such": "1"},
        {"rightsize_io_direction": "sideways"},
        {"rightsize_io_max_decrease": "7"},
    ],
)
def test_an_unusable_annotation_says_where_it_is(annotations: dict[str, str]) -> None:
    """The message names the container."""
    with pytest.raises(ConfigError, match="annotation of shop/Deployment/web/app"):
        Policies().of(ref(), annotations)


def test_an_unusable_rule_is_found_before_any_run() -> None:
    """Rules are checked when they are made, not when a container first matches."""
    with pytest.raises(ConfigError, match="policy rule 2"):
        Policies(rules=(Rule(set={}), Rule(set={"cpu_flor": "1"})))
