"""How containers start, change in place and end, read as Kubernetes reads it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from analyzer.lifecycle import Container, Probe, lifecycle_of


def container(**settings: Any) -> Container:
    """The only container of a pod, as it is read."""
    return lifecycle_of(None, {"containers": [{"name": "app", **settings}]}).containers["app"]


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ({}, None),
        ({"readinessProbe": {"periodSeconds": 5}}, None),
        ({"livenessProbe": {"httpGet": {}}}, Probe("livenessProbe", timedelta(seconds=20))),
        (
            {"livenessProbe": {"initialDelaySeconds": 60, "periodSeconds": 5}},
            Probe("livenessProbe", timedelta(seconds=70)),
        ),
        (
            {"startupProbe": {"failureThreshold": 30}, "livenessProbe": {"periodSeconds": 1}},
            Probe("startupProbe", timedelta(seconds=290)),
        ),
        (
            {"startupProbe": {"failureThreshold": 1}},
            Probe("startupProbe", timedelta(seconds=1)),
        ),
        ({"startupProbe": {"periodSeconds": "10"}}, None),
        ({"startupProbe": {"failureThreshold": 0}}, None),
        ({"startupProbe": {"failureThreshold": True}}, None),
        ({"startupProbe": "soon"}, None),
    ],
)
def test_a_start_may_take_what_its_probe_waits(
    probes: dict[str, Any], expected: Probe | None
) -> None:
    """The delay, and the periods between its looks: by default three looks, 10 s apart."""
    assert container(**probes).probe == expected


def test_what_restarts_in_place_is_read() -> None:
    """Only what says so; resources that are not proposed are left out."""
    rows = [
        {"resourceName": "memory", "restartPolicy": "RestartContainer"},
        {"resourceName": "cpu", "restartPolicy": "NotRequired"},
        {"resourceName": "gpu", "restartPolicy": "RestartContainer"},
        "garbled",
    ]
    assert container(resizePolicy=rows).restarts == ("memory",)
    assert container(resizePolicy="all").restarts == ()


@pytest.mark.parametrize(
    ("described", "pod", "seconds"),
    [
        ({"spec": {"activeDeadlineSeconds": 600}}, {}, 600),
        ({"spec": {"jobTemplate": {"spec": {"activeDeadlineSeconds": 60}}}}, {}, 60),
        ({"spec": {"activeDeadlineSeconds": 600}}, {"activeDeadlineSeconds": 300}, 300),
        ({"spec": {"activeDeadlineSeconds": "soon"}}, {}, None),
        ({"spec": {}}, {}, None),
        (None, None, None),
    ],
)
def test_the_earliest_deadline_ends_a_run(described: Any, pod: Any, seconds: int | None) -> None:
    """That of the Job, of what a CronJob makes, or of the pod."""
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert lifecycle_of(described, pod).deadline == expected
