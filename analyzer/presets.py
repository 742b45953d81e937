"""Ready-made answers to two questions: how close to the wind, and what to keep hands off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from analyzer.kinds import CLUSTER, STATEFUL_SET
from analyzer.policy import Rule

Preset = Literal["careful", "balanced", "lean"]
Protected = Literal["databases", "stateful", "system"]

PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "careful": {
        "cpu_request_risk": 0.02,
        "memory_request_risk": 0.03,
        "memory_limit_risk": 0.003,
        "memory_limit_headroom": 1.5,
        "max_decrease": 0.3,
        "min_days_to_lower": 7.0,
        "keep_qos": True,
    },
    "balanced": {},
    "lean": {
        "cpu_request_risk": 0.10,
        "memory_request_risk": 0.20,
        "memory_limit_risk": 0.02,
        "min_change": 0.05,
    },
}
"""Settings of the policy by preset; what a file sets itself wins. Balanced is the defaults."""

_DATABASES = (
    "postgres", "mysql", "mariadb", "mongo", "redis", "valkey", "dragonfly", "elasticsearch",
    "opensearch", "kafka", "rabbitmq", "clickhouse", "cassandra", "influxdb", "etcd", "minio",
)  # fmt: skip
_SYSTEM = ("kube-*", "*-system", "argocd", "cert-manager")

PROTECTED: Mapping[Protected, Sequence[Rule]] = {
    "databases": (
        Rule(kind=CLUSTER.name, set={"direction": "raise"}),
        *(Rule(workload=f"*{name}*", set={"direction": "raise"}) for name in _DATABASES),
    ),
    "stateful": (Rule(kind=STATEFUL_SET.name, set={"direction": "raise"}),),
    "system": tuple(Rule(namespace=name, set={"direction": "off"}) for name in _SYSTEM),
}
"""Rules by what they protect; rules of a file come after them, and win."""
