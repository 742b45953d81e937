"""Scenarios of what programs take from their amounts, of cores of their own, and of company."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.scenarios.combined import FULL, NO_FLOOR, night_run
from tests.scenarios.parts import gives, hpa, nodes, pool
from tests.scenarios.world import MIB, Box, Scenario, climbs, moves, peaks

OWN_CORES = {"keep_qos": True, "whole_cores": True}
STAYS_AT_LEAST = {"memory_limit": "stays: at least"}


def large(**more: Any) -> Box:
    """A container that uses 300Mi of 2Gi requested and allowed."""
    return Box(**{"memory": 300, "memory_request": "2Gi", **more})


def from_field(name: str, resource: str) -> dict[str, Any]:
    """A variable that Kubernetes fills in from an amount of the container."""
    return {"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource}}}


def variables(**values: str) -> dict[str, Any]:
    """Plain variables."""
    return {"env": [{"name": name, "value": value} for name, value in values.items()]}


def guaranteed(cores: str, **more: Any) -> Box:
    """A container whose requests equal its limits."""
    equal: dict[str, Any] = {"cpu_request": cores, "cpu_limit": cores}
    return Box(memory=900, memory_request="1Gi", memory_limit="1Gi", **equal, **more)


def beside(labels: Mapping[str, str], key: str = "kubernetes.io/hostname") -> dict[str, Any]:
    """A pod that has to stand beside others."""
    term = {"topologyKey": key, "labelSelector": {"matchLabels": dict(labels)}}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"affinity": {"podAffinity": required}}


def company(asks: Mapping[str, Any]) -> list[Box]:
    """A raise to 1.5 cores beside db, which leaves 600m of two; another node has 16."""
    return [
        Box(cpu=1.4, cpu_request="500m", memory=900, asks=asks, pod={"node": "n0"}),
        Box(
            name="db",
            workload="db",
            cpu=1.3,
            cpu_request="1400m",
            memory=900,
            asks={},
            pod={"node": "n0"},
        ),
        Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m", asks={}, pod={"node": "n1"}),
    ]


def zones(*names: str) -> tuple[dict[str, Any], ...]:
    """A small node and a large one, in the zones of these names."""
    placed = zip(pool(2.0, 16.0), names, strict=True)
    return tuple({**n, "labels": {"agentpool": "one", "zone": zone}} for n, zone in placed)


def annotated(**values: str) -> dict[str, str]:
    """Annotations as kube-state-metrics spells them."""
    return {"annotations": json.dumps(values)}


def scaled(*metrics: Mapping[str, Any]) -> dict[str, str]:
    """An autoscaler on several metrics."""
    return {"hpa": json.dumps({"name": "web", "min": 2, "max": 9, "metrics": list(metrics)})}


def share(resource: str, value: float, container: str = "") -> dict[str, Any]:
    """A target as a share of the request."""
    return {
        "resource": resource,
        "type": "Utilization",
        "value": value,
        "container": container,
    }


BY_CONTAINER = scaled(share("cpu", 60, "app"), share("memory", 70, "proxy"))
KILLED: Mapping[str, Any] = {
    "memory": peaks(200, 480),
    "memory_request": "256Mi",
    "memory_limit": "512Mi",
}

FURTHER: Mapping[str, Sequence[Scenario]] = {
    "What programs take from their amounts": (
        Scenario(
            name="CPU limit that a program reads stays",
            given="GOMAXPROCS is filled in from limits.cpu; uses 100m under a limit of 1",
            boxes=[Box(cpu_limit="1", settings={"env": [from_field("GOMAXPROCS", "limits.cpu")]})],
            expect={"cpu_limit": "stays: at least", "cpu_request": "falls"},
            why="without one the field has all cores of the node",
        ),
        Scenario(
            name="program that reads its CPU request is told",
            given="GOMAXPROCS is filled in from requests.cpu; uses 200m of 2 cores",
            boxes=[
                Box(
                    cpu=0.2,
                    cpu_request="2",
                    settings={"env": [from_field("GOMAXPROCS", "requests.cpu")]},
                )
            ],
            expect={"cpu_request": "falls", "note": "GOMAXPROCS is taken from the CPU request"},
            why="it would run one thread instead of two",
        ),
        Scenario(
            name="memory limit that Go follows may fall",
            given="GOMEMLIMIT is filled in from limits.memory; uses 300Mi of 2Gi",
            boxes=[large(settings={"env": [from_field("GOMEMLIMIT", "limits.memory")]})],
            expect={"memory_limit": "falls"},
            why="the garbage collector works earlier, and usage leaves it room",
        ),
        Scenario(
            name="memory limit that Go follows is not taken away",
            given="GOMEMLIMIT is filled in from limits.memory; limits are not wanted",
            boxes=[large(settings={"env": [from_field("GOMEMLIMIT", "limits.memory")]})],
            policy={"memory_limit": "none"},
            expect=STAYS_AT_LEAST,
            why="without one the field has all memory of the node",
        ),
        Scenario(
            name="heap that is a share keeps its limit where none is wanted",
            given="-XX:MaxRAMPercentage=75 under 2Gi; limits are not wanted",
            boxes=[large(settings={"args": ["-XX:MaxRAMPercentage=75"]})],
            policy={"memory_limit": "none"},
            expect=STAYS_AT_LEAST,
            why="without one the heap is three quarters of the node",
        ),
        Scenario(
            name="limit that a program reads is raised where it kills",
            given="killed at 512Mi, which GOMEMLIMIT is filled in from; limits are not wanted",
            boxes=[
                Box(
                    **KILLED,
                    kills=[(15, "512Mi")],
                    settings={"env": [from_field("GOMEMLIMIT", "limits.memory")]},
                )
            ],
            policy={"memory_limit": "none"},
            expect={"memory_limit": "rises"},
            why="it cannot go, and it kills",
        ),
        Scenario(
            name="memory request that a heap is made of stays",
            given="-Xmx$(HEAP)m, where HEAP is filled in from requests.memory",
            boxes=[
                large(
                    settings={
                        "env": [from_field("HEAP", "requests.memory")],
                        "args": ["-Xmx$(HEAP)m"],
                    }
                )
            ],
            expect={"memory_request": "stays: at least"},
            why="a lower request is a smaller heap",
        ),
        Scenario(
            name="limit of another container is none of its business",
            given="a variable filled in from the memory limit of the container db",
            boxes=[
                large(
                    settings={
                        "env": [
                            {
                                "name": "CAP",
                                "valueFrom": {
                                    "resourceFieldRef": {
                                        "containerName": "db",
                                        "resource": "limits.memory",
                                    }
                                },
                            }
                        ]
                    }
                )
            ],
            expect={"memory_limit": "falls"},
            why="its own limit sizes nothing",
        ),
        Scenario(
            name="heap and direct memory count together",
            given="-Xmx768m and -XX:MaxDirectMemorySize=768m under 2Gi",
            boxes=[large(settings={"args": ["-Xmx768m", "-XX:MaxDirectMemorySize=768m"]})],
            expect={"memory_limit": ">= 1536Mi: at least"},
            why="buffers lie outside of the heap",
        ),
        Scenario(
            name="page cache of Neo4j counts beside its heap",
            given="a heap of 1G and a page cache of 512M",
            boxes=[
                large(
                    settings=variables(
                        NEO4J_server_memory_heap_max__size="1G",
                        NEO4J_server_memory_pagecache_size="512M",
                    )
                )
            ],
            expect={"memory_limit": ">= 1536Mi: at least"},
            why="it lies outside of the heap as well",
        ),
        Scenario(
            name="items of memcached keep its limit",
            given="memcached -m 1536 under 2Gi; uses 300Mi",
            boxes=[large(settings={"image": "memcached:1.6", "args": ["-m", "1536"]})],
            expect=STAYS_AT_LEAST,
            why="it fills up to that before it evicts anything",
        ),
        Scenario(
            name="like option of another program holds nothing",
            given="gunicorn -m 1536",
            boxes=[large(settings={"image": "shop:1", "args": ["gunicorn", "-m", "1536"]})],
            expect={"memory_limit": "falls"},
            why="the letter means another thing there",
        ),
        Scenario(
            name="shared_buffers in a long option keep their limit",
            given="--shared-buffers=1536MB under 2Gi; uses 300Mi",
            boxes=[large(settings={"args": ["--shared-buffers=1536MB"]})],
            expect=STAYS_AT_LEAST,
            why="postgres takes every setting as an option",
        ),
        Scenario(
            name="caches of VictoriaMetrics keep their limit",
            given="-memory.allowedPercent=60; uses 300Mi of 2Gi",
            boxes=[large(settings={"args": ["-memory.allowedPercent=60"]})],
            expect=STAYS_AT_LEAST,
            why="a lower limit is less cache",
        ),
        Scenario(
            name="heap of Solr keeps its limit",
            given="SOLR_HEAP=1536m under 2Gi; uses 300Mi",
            boxes=[large(settings=variables(SOLR_HEAP="1536m"))],
            expect=STAYS_AT_LEAST,
            why="its start script makes -Xmx of it",
        ),
        Scenario(
            name="heap in a shell command keeps its limit",
            given="sh -c 'exec java -Xmx1536m -jar app.jar'",
            boxes=[large(settings={"command": ["sh", "-c", "exec java -Xmx1536m -jar app.jar"]})],
            expect=STAYS_AT_LEAST,
            why="the shell hands it on",
        ),
        Scenario(
            name="heap holds request and limit of a Guaranteed pod",
            given="-Xmx1536m; 2Gi and 1 core requested and allowed, the class is to be kept",
            boxes=[large(cpu_request="1", cpu_limit="1", settings={"args": ["-Xmx1536m"]})],
            policy={"keep_qos": True},
            expect={"memory_limit": ">= 1536Mi", "memory_request": ">= 1536Mi"},
            why="both are one amount",
        ),
    ),
    "Cores of its own": (
        Scenario(
            name="whole cores stay whole on demand",
            given="4 cores requested and allowed, uses 1.3; whole cores are to be kept",
            boxes=[guaranteed("4", cpu=1.3)],
            policy=OWN_CORES,
            expect={"cpu_request": "2: whole cores", "cpu_limit": "2"},
            why="a static CPU manager gives 1400m none of its own",
        ),
        Scenario(
            name="whole cores rise to whole cores",
            given="2 cores requested and allowed, uses 2.2",
            boxes=[guaranteed("2", cpu=2.2)],
            policy=OWN_CORES,
            expect={"cpu_request": "3: whole cores", "cpu_limit": "3"},
            why="2400m would share its cores with all others",
        ),
        Scenario(
            name="whole core that finds no room leaves what is",
            given="2 cores requested and allowed, uses 2.2; the node has 2500m",
            boxes=[guaranteed("2", cpu=2.2)],
            nodes=nodes(2.5),
            policy=OWN_CORES,
            expect={"cpu_request": "stays: whole cores", "cpu_limit": "stays"},
            why="half a core more would cost it those that it has",
        ),
        Scenario(
            name="fraction of a core stays a fraction",
            given="1500m requested and allowed, uses 200m",
            boxes=[guaranteed("1500m", cpu=0.2)],
            policy=OWN_CORES,
            expect={"cpu_request": "<= 300m", "cpu_limit": "<= 300m"},
            why="it never had cores of its own",
        ),
        Scenario(
            name="loss of whole cores is said",
            given="4 cores requested and allowed, uses 1.3; the class is to be kept",
            boxes=[guaranteed("4", cpu=1.3)],
            policy={"keep_qos": True},
            expect={"cpu_request": "falls", "note": "whole_cores: true"},
            why="whether its node's CPU manager is static nobody exports",
        ),
        Scenario(
            name="loss of whole cores is said where the class goes",
            given="4 cores requested and allowed, uses 1.3",
            boxes=[guaranteed("4", cpu=1.3)],
            expect={"cpu_limit": "removed", "note": "whole cores that it has to itself"},
            why="only Guaranteed pods have any",
        ),
    ),
    "Company, and deadlines of pods": (
        Scenario(
            name="raise stays beside the pods that it asks for",
            given="it has to stand beside db, whose node is full; another node is empty",
            boxes=company(beside({"app": "db"})),
            nodes=pool(2.0, 16.0),
            expect={"cpu_request": "stays: nodes"},
            why="no pod of db is there",
        ),
        Scenario(
            name="raise may go to another node of the same zone",
            given="it has to be in the zone of db, which has an empty node",
            boxes=company(beside({"app": "db"}, "zone")),
            nodes=zones("a", "a"),
            expect={"cpu_request": ">= 1400m"},
            why="the zone is what counts",
        ),
        Scenario(
            name="raise does not leave the zone of its company",
            given="it has to be in the zone of db; the empty node is in another",
            boxes=company(beside({"app": "db"}, "zone")),
            nodes=zones("a", "b"),
            expect={"cpu_request": "stays: nodes"},
            why="no pod of db is there",
        ),
        Scenario(
            name="first pod that asks for its own kind may go anywhere",
            given="it has to stand beside pods of its own label; its node is full",
            boxes=company(beside({"app": "web"})),
            nodes=pool(2.0, 16.0),
            expect={"cpu_request": ">= 1400m"},
            why="Kubernetes lets the first of a group start it",
        ),
        Scenario(
            name="deadline of a Job is none of its pods",
            given="a full quota of pods with a deadline; the CronJob's Jobs have one of ten hours",
            boxes=[
                night_run(
                    cpu=0.9,
                    cpu_request="200m",
                    asks={},
                    object={"jobTemplate": {"spec": {"activeDeadlineSeconds": 36000}}},
                )
            ],
            quota=FULL,
            scopes=[("Terminating", "Exists", [])],
            expect={"cpu_request": ">= 900m"},
            why="the scope looks at the pod's own field",
        ),
        Scenario(
            name="pod with a deadline is not in the quota of those without",
            given="a full quota of pods without a deadline; the CronJob's pods have one",
            boxes=[night_run(cpu=0.9, cpu_request="200m", asks={"activeDeadlineSeconds": 36000})],
            quota=FULL,
            scopes=[("NotTerminating", "Exists", [])],
            expect={"cpu_request": ">= 900m"},
            why="it is counted elsewhere",
        ),
        Scenario(
            name="deadline that metrics alone tell counts",
            given="runs of 8 h with a burst of 2 cores; kube_job_spec_active_deadline_seconds: 9 h",
            boxes=[night_run(more={"deadline_seconds": 9 * 3600.0})],
            policy=NO_FLOOR,
            expect={"cpu_request": ">= 390m: deadline"},
            why="with 200m the burst alone would take more than two hours longer",
        ),
        Scenario(
            name="deadline of a pod puts it in the quota of those that end",
            given="a full quota of pods with a deadline; the CronJob's pods have one",
            boxes=[night_run(cpu=0.9, cpu_request="200m", asks={"activeDeadlineSeconds": 36000})],
            quota=FULL,
            scopes=[("Terminating", "Exists", [])],
            expect={"cpu_request": "stays: quota"},
            why="that is what the scope looks at",
        ),
    ),
    "All sorts, once more": (
        Scenario(
            name="HPA by the metrics of two containers leaves the rest free",
            given="an HPA on CPU of app and on memory of proxy",
            boxes=[
                Box(more=BY_CONTAINER, replicas=2, like=(1, 1)),
                Box(name="proxy", more=BY_CONTAINER, replicas=2, like=(1, 1)),
            ],
            expect={
                "cpu_request": "stays: hands off",
                "memory_request": "falls",
                "proxy cpu_request": "falls",
                "proxy memory_request": "stays: hands off",
            },
            why="each scale point is of one container and one resource",
        ),
        Scenario(
            name="limit that kills is raised beside an HPA on memory",
            given="killed at 512Mi; an HPA scales on a share of requests.memory",
            boxes=[
                Box(
                    **KILLED,
                    kills=[(15, "512Mi")],
                    more=hpa("memory", 80),
                    replicas=2,
                    like=(1, 1),
                )
            ],
            expect={"memory_limit": "rises", "memory_request": "stays: hands off"},
            why="the limit is no part of the scale point",
        ),
        Scenario(
            name="target above a hundred percent follows its request",
            given="an HPA at 150 % of 100m; uses 140m",
            boxes=[
                Box(
                    cpu=0.14,
                    cpu_request="100m",
                    memory=900,
                    more=hpa(target=150),
                    replicas=2,
                    like=(1, 1),
                )
            ],
            policy={"hpa": "together"},
            expect={"cpu_request": ">= 140m", "with it": "150 % ->"},
            why="a pod may use more than it requests",
        ),
        Scenario(
            name="default limit of a LimitRange bounds a raise",
            given="no CPU limit; the LimitRange gives 500m; uses 900m of 400m",
            boxes=[Box(cpu=0.9, cpu_request="400m", memory=900)],
            limit_range={"cpu default": 0.5},
            expect={"cpu_request": "<= 500m: limit range"},
            why="the API server refuses a request above the limit that it fills in",
        ),
        Scenario(
            name="min of a LimitRange does not overdraw a quota",
            given="100m requested, no less than 200m admitted, the quota is full",
            boxes=[Box(cpu=0.02, cpu_request="100m", memory=900)],
            limit_range={"cpu min": 0.2},
            quota={"requests.cpu": (0.1, 0.1)},
            expect={"cpu_request": "stays"},
            why="neither amount could be made anew, so nothing is guessed",
        ),
        Scenario(
            name="init container runs beside the sidecars before it",
            given="a sidecar wants 900m, an init container asks for 1200m; one node of 2 cores",
            boxes=[
                Box(cpu=0.2, cpu_request="250m", memory=900),
                Box(name="mesh", type="sidecar", cpu=0.9, cpu_request="500m", memory=900),
                Box(name="migrate", type="init", cpu=1.15, cpu_request="1200m", memory=900),
            ],
            nodes=nodes(2.0),
            expect={"mesh cpu_request": "stays: nodes"},
            why="the pod asks for the sum of both while it starts",
        ),
        Scenario(
            name="Windows pod does not go to a Linux node",
            given="its Windows node is full; a Linux node has 16 cores",
            boxes=[
                Box(
                    cpu=1.4,
                    cpu_request="500m",
                    memory=900,
                    asks={"nodeSelector": {"kubernetes.io/os": "windows"}},
                ),
                Box(
                    name="other",
                    workload="other",
                    cpu=1.4,
                    cpu_request="1500m",
                    memory=900,
                    pod={"node": "n0"},
                ),
            ],
            nodes=[
                {**node, "labels": {"kubernetes_io_os": os, "agentpool": os}, "taints": []}
                for node, os in zip(nodes(2.0, 16.0), ("windows", "linux"), strict=True)
            ],
            expect={"cpu_request": "stays: nodes"},
            why="its selector keeps it off",
        ),
        Scenario(
            name="device that no other node has keeps a raise on its node",
            given="a pod with a FUSE device on a full node; the other node has none",
            boxes=[
                Box(cpu=1.9, cpu_request="1", pod={"other_requests": {"smarter-devices_fuse": 1}}),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=gives(pool(2.0, 16.0), {"smarter-devices_fuse": 1}, {}),
            expect={"cpu_request": "stays: nodes"},
            why="any extended resource counts like a GPU",
        ),
        Scenario(
            name="runtime's overhead bounds memory too",
            given="uses 14Gi of 8Gi on a node of 16Gi, 3Gi of which are the runtime's",
            boxes=[
                Box(
                    memory=14 * 1024,
                    memory_request="8Gi",
                    memory_limit="20Gi",
                    pod={"overhead_memory_bytes": 3 * 1024 * MIB},
                )
            ],
            nodes=nodes(8.0),
            expect={"memory_request": "<= 13Gi"},
            why="the scheduler adds it to what containers request",
        ),
        Scenario(
            name="canary that needs more is believed at once",
            given="a Rollout whose new image went from 300Mi to 900Mi yesterday",
            boxes=[
                Box(
                    kind="Rollout",
                    memory=moves(300, 900, 20),
                    memory_request="512Mi",
                    memory_limit="1Gi",
                    image_changed=20,
                )
            ],
            expect={"memory_request": ">= 850Mi"},
            why="the next pods run it",
        ),
        Scenario(
            name="office hours are a quarter of the time",
            given="900m from nine to five on five days, 50m else; 1 core requested",
            boxes=[
                Box(
                    cpu=lambda d: np.where((d % 7 < 5) & (d % 1 > 0.35) & (d % 1 < 0.7), 0.9, 0.05),
                    cpu_request="1",
                    memory=900,
                )
            ],
            expect={"cpu_request": ">= 800m"},
            why="that is far more than one twentieth",
        ),
        Scenario(
            name="peak of every second week keeps the limit",
            given="200Mi, and 1500Mi for four hours a fortnight; 2Gi requested and allowed",
            boxes=[
                Box(
                    memory=peaks(200, 1500, every=14, hours=4),
                    memory_request="2Gi",
                    memory_limit="2Gi",
                )
            ],
            expect={"memory_limit": ">= 1500Mi"},
            why="it comes back",
        ),
        Scenario(
            name="limit that nothing hit is raised no further than after a kill",
            given="from 300Mi to 900Mi every two days; 1Gi requested and allowed, no kill",
            boxes=[Box(memory=climbs(300, 900, 2), memory_limit="1Gi")],
            expect={"memory_limit": "<= 2Gi", "memory_request": ">= 850Mi"},
            why="even a kill would call for no more than twice the limit",
        ),
        Scenario(
            name="CPU that was never observed is left alone",
            given="memory alone is exported",
            boxes=[Box(cpu=lambda days: np.full(len(days), np.nan))],
            expect={"cpu_request": "stays", "memory_request": "falls"},
            why="no sample is no zero",
        ),
        *(
            Scenario(
                name=f"annotation that is {what} stops its own",
                given=f"rightsize.io/{key}: {value!r}",
                boxes=[Box(more=annotated(**{f"rightsize_io_{key}": value}))],
                expect={"skipped": "annotation"},
                why="nothing is guessed",
            )
            for what, key, value in (
                ("empty", "direction", ""),
                ("no number", "cpu_request_risk", "nan"),
                ("without end", "memory_limit_headroom", "inf"),
                ("of an unknown setting", "exclude", "true"),
                ("negative", "cpu_floor", "-1"),
                ("in thousandths of a byte", "memory_floor", "512m"),
                ("of two lines", "direction", "raise\nlower"),
            )
        ),
    ),
}
