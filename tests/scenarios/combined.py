"""Scenarios of starts, runs and changes in place, and of several bounds at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.scenarios.parts import affinity, gives, hpa, nodes, pool, pools
from tests.scenarios.world import Box, Scenario, grows, moves, peaks, starts

GIB = 1024
STARTING = starts(0.1, 0.8)
"""A start of 0.7 cores more than usual for a quarter of an hour: 630 core-seconds."""
RUNS_WITH_A_BURST = peaks(0.2, 2.0, hours=0.2)
"""Eight hours at 200m would take 10 h 15 min if the burst got no more than that."""


def probed(name: str = "app", **settings: Any) -> dict[str, Any]:
    """The description of a pod whose container has probes, or a resizePolicy."""
    return {"containers": [{"name": name, **settings}]}


def every(seconds: int, times: int, **more: int) -> dict[str, int]:
    """A probe that looks every so many seconds, and acts after so many failures."""
    return {"periodSeconds": seconds, "failureThreshold": times, **more}


def night_run(**more: Any) -> Box:
    """A CronJob of eight hours a day with a burst."""
    usual = {"cpu": RUNS_WITH_A_BURST, "cpu_request": "2", "memory": 300.0}
    return Box(**{**usual, "kind": "CronJob", "starts": False, "runs": 8, **more})


NO_FLOOR = {"busy_hour_floor": 0.0}
FULL = {"requests.cpu": (0.2, 0.2)}

COMBINED: Mapping[str, Sequence[Scenario]] = {
    "Starts and runs in time, changes in place": (
        Scenario(
            name="start that its probe would end keeps its request",
            given="a start takes 630 CPU-seconds, its startupProbe waits 5 min; uses 100m of 500m",
            boxes=[Box(cpu=STARTING, asks=probed(startupProbe=every(10, 30)))],
            expect={"cpu_request": "stays: probe", "memory_request": "falls"},
            why="where its node has nothing to spare it would never come up",
        ),
        Scenario(
            name="patient probe lets the request fall as far as it waits",
            given="a start takes 630 CPU-seconds, its startupProbe waits for an hour",
            boxes=[Box(cpu=STARTING, asks=probed(startupProbe=every(10, 360)))],
            expect={"cpu_request": "180m: probe"},
            why="with 175m it is up after an hour",
        ),
        Scenario(
            name="liveness probe counts where no other waits",
            given="a start takes 630 CPU-seconds; a livenessProbe begins after an hour",
            boxes=[Box(cpu=STARTING, asks=probed(livenessProbe={"initialDelaySeconds": 3570}))],
            expect={"cpu_request": "180m: probe"},
            why="three failures ten seconds apart follow the delay, as nothing else is said",
        ),
        Scenario(
            name="liveness probe waits for the one of the start",
            given="a startupProbe of two hours beside a livenessProbe of half a minute",
            boxes=[
                Box(
                    cpu=STARTING,
                    asks=probed(startupProbe=every(60, 120), livenessProbe=every(10, 3)),
                )
            ],
            expect={"cpu_request": "<= 150m"},
            why="Kubernetes asks for life only once it has started",
        ),
        Scenario(
            name="probe keeps a CPU limit as well",
            given="a limit of 2 cores by risk; a start takes 630 CPU-seconds within 5 min",
            boxes=[Box(cpu=STARTING, cpu_limit="2", asks=probed(startupProbe=every(10, 30)))],
            policy={"cpu_limit": "risk"},
            expect={"cpu_limit": "stays: probe"},
            why="a limit throttles a start even where the node is empty",
        ),
        Scenario(
            name="probe of another container says nothing",
            given="the startupProbe of 5 min is a sidecar's",
            boxes=[Box(cpu=STARTING, asks=probed("proxy", startupProbe=every(10, 30)))],
            expect={"cpu_request": "<= 150m"},
            why="each container has its own",
        ),
        Scenario(
            name="start that was not seen is not guessed at",
            given="a startupProbe of 5 min, and no start in the window",
            boxes=[Box(starts=False, asks=probed(startupProbe=every(10, 30)))],
            expect={"cpu_request": "falls"},
            why="how long it takes nobody knows",
        ),
        Scenario(
            name="garbled probe holds nothing",
            given="a startupProbe whose period is a word",
            boxes=[Box(cpu=STARTING, asks=probed(startupProbe={"periodSeconds": "ten"}))],
            expect={"cpu_request": "<= 150m"},
            why="the API server would refuse it, so that it is not what runs",
        ),
        Scenario(
            name="request too low for its probe already is not raised for it",
            given="a start takes 630 CPU-seconds, its startupProbe waits for 5 min; 100m of 100m",
            boxes=[Box(cpu=STARTING, cpu_request="100m", asks=probed(startupProbe=every(10, 30)))],
            expect={"cpu_request": "<= 120m"},
            why="it has come up so far, on what its nodes had to spare",
        ),
        Scenario(
            name="run keeps the CPU that its deadline asks for",
            given="runs of 8 h with a burst of 2 cores, which end after 9 h; 2 cores requested",
            boxes=[night_run(asks={}, object={"activeDeadlineSeconds": 9 * 3600})],
            policy=NO_FLOOR,
            expect={"cpu_request": ">= 390m: deadline"},
            why="with 200m the burst alone would take more than two hours longer",
        ),
        Scenario(
            name="run without a deadline is told to take longer",
            given="runs of 8 h with a burst of 2 cores",
            boxes=[night_run()],
            policy=NO_FLOOR,
            expect={"cpu_request": "<= 300m", "note": r"took 8\.0 h would take"},
            why="somebody may wait for it",
        ),
        Scenario(
            name="deadline of what a CronJob makes counts",
            given="a deadline of 9 h in the CronJob's template of Jobs",
            boxes=[
                night_run(
                    asks={}, object={"jobTemplate": {"spec": {"activeDeadlineSeconds": 9 * 3600}}}
                )
            ],
            policy=NO_FLOOR,
            expect={"cpu_request": ">= 390m: deadline"},
            why="that is where it stands",
        ),
        Scenario(
            name="deadline far away holds nothing",
            given="runs of 8 h that may take a day",
            boxes=[night_run(asks={}, object={"activeDeadlineSeconds": 24 * 3600})],
            policy=NO_FLOOR,
            expect={"cpu_request": "<= 300m", "note": r"deadline 24\.0 h"},
            why="at 200m it is over after 10 h 15 min",
        ),
        Scenario(
            name="deadline that runs have passed before is no measure",
            given="runs of 8 h with a deadline of one",
            boxes=[night_run(asks={}, object={"activeDeadlineSeconds": 3600})],
            policy=NO_FLOOR,
            expect={"cpu_request": "<= 300m"},
            why="it came later than the runs, or is not what ended them",
        ),
        Scenario(
            name="change that restarts even in place is told",
            given="a resizePolicy that restarts for memory",
            boxes=[
                Box(
                    asks=probed(
                        resizePolicy=[
                            {"resourceName": "memory", "restartPolicy": "RestartContainer"},
                            {"resourceName": "cpu", "restartPolicy": "NotRequired"},
                        ]
                    )
                )
            ],
            expect={
                "memory_request": "falls",
                "note": "its resizePolicy restarts it where memory changes in place",
            },
            why="a JVM takes its heap at the start",
        ),
    ),
    "Several bounds at once": (
        Scenario(
            name="floor that no node has room for is not reached halfway",
            given="one node of 2 cores, 1500m taken; floor of 1 core, 300m requested",
            boxes=[
                Box(name="app", cpu=0.29, cpu_request="300m"),
                Box(name="big", workload="big", cpu=1.45, cpu_request="1500m"),
            ],
            nodes=nodes(2),
            policy={"cpu_floor": "1", "direction": "raise"},
            expect={"cpu_request": "stays: nodes", "big cpu_request": "stays"},
            why="a raise is made whole or not at all",
        ),
        Scenario(
            name="rounding alone raises nothing",
            given="uses 301m of 303m requested",
            boxes=[Box(cpu=0.295, cpu_request="303m")],
            expect={"cpu_request": "stays"},
            why="what somebody wrote suffices as well as a round number",
        ),
        Scenario(
            name="guaranteed pod without limits wanted keeps room above its peak",
            given="1Gi requested and allowed, peaks of 900Mi; ceiling of 256Mi",
            boxes=[Box(memory=900, memory_limit="1Gi")],
            policy={"memory_limit": "none", "keep_qos": True, "memory_ceiling": "256Mi"},
            expect={"memory_limit": ">= 900Mi"},
            why="a limit at the ceiling would kill it",
        ),
        Scenario(
            name="raise only with limits unwanted still raises a limit that killed",
            given="killed at a limit of 512Mi; limits are not wanted, and nothing is to fall",
            boxes=[
                Box(
                    memory=peaks(200, 480),
                    memory_limit="512Mi",
                    memory_request="256Mi",
                    kills=[(15, "512Mi")],
                )
            ],
            policy={"memory_limit": "none", "direction": "raise"},
            expect={"memory_limit": "rises"},
            why="it cannot be taken away, and it kills",
        ),
        Scenario(
            name="no steps down and an odd floor leave what holds",
            given="7m requested, floor 7m, nothing may fall",
            boxes=[Box(cpu=0.001, cpu_request="7m")],
            policy={"cpu_floor": "7m", "max_decrease": 0.0},
            expect={"cpu_request": "stays"},
            why="rounding the floor up would raise it at every other review",
        ),
        Scenario(
            name="quota and nodes both bound raises",
            given="quota with room for 1 core more, a node with room for 500m",
            boxes=[
                Box(cpu=1.4, cpu_request="500m"),
                Box(name="other", workload="other", cpu=0.95, cpu_request="1"),
            ],
            nodes=nodes(2),
            quota={"requests.cpu": (2.5, 1.5)},
            expect={"cpu_request": "stays: nodes"},
            why="the tighter of both holds",
        ),
        Scenario(
            name="quota that is overdrawn allows decreases",
            given="a quota of 1 core of which 1500m are used; one gives back, one wants more",
            boxes=[
                Box(cpu=0.1, cpu_request="1"),
                Box(name="other", workload="other", cpu=0.9, cpu_request="500m"),
            ],
            quota={"requests.cpu": (1.0, 1.5)},
            expect={"cpu_request": "falls", "other cpu_request": "stays: quota"},
            why="what is given back first pays the debt",
        ),
        Scenario(
            name="quota on limits keeps a CPU limit declared",
            given="the quota counts limits.cpu; a limit of 1 core",
            boxes=[Box(cpu_limit="1")],
            quota={"limits.cpu": (4.0, 1.0)},
            expect={"cpu_limit": "stays: quota", "cpu_request": "falls"},
            why="pods without would be refused",
        ),
        Scenario(
            name="quota on memory limits holds a raise after a kill",
            given="killed at 512Mi; the quota of limits.memory is used up",
            boxes=[
                Box(
                    memory=peaks(200, 480),
                    memory_limit="512Mi",
                    memory_request="256Mi",
                    kills=[(15, "512Mi")],
                )
            ],
            quota={"limits.memory": (512, 512)},
            expect={"memory_limit": "stays: quota"},
            why="a pod above the quota would not be made at all",
        ),
        Scenario(
            name="min of a LimitRange lies above the policy's floor",
            given="uses 1m; no less than 50m is admitted",
            boxes=[Box(cpu=0.001, cpu_request="200m")],
            limit_range={"cpu min": 0.05},
            expect={"cpu_request": "50m: limit range"},
            why="a pod with less would be refused",
        ),
        Scenario(
            name="ratio of a LimitRange raises the request beside a kept limit",
            given="limit of 2 cores is kept, at most four times the request; uses 100m",
            boxes=[Box(cpu_limit="2", cpu_request="1")],
            limit_range={"cpu maxLimitRequestRatio": 4},
            policy={"cpu_limit": "keep"},
            expect={"cpu_request": "500m: limit range"},
            why="a pod with a greater ratio would be refused",
        ),
        Scenario(
            name="contradicting LimitRange changes nothing",
            given="min of 2 cores above a max of 1",
            boxes=[Box()],
            limit_range={"cpu min": 2, "cpu max": 1},
            expect={"cpu_request": "stays", "memory_request": "stays"},
            why="no pod would be admitted, so nothing is guessed",
        ),
        Scenario(
            name="max for a pod bounds the sum of its containers",
            given="two containers that want 3 cores each; a pod may have 4",
            boxes=[
                Box(cpu=2.8, cpu_request="1"),
                Box(name="two", cpu=2.8, cpu_request="1"),
            ],
            limit_range={"pod cpu max": 4},
            expect={"cpu_request": "<= 2: pod", "two cpu_request": "<= 2: pod"},
            why="the API server refuses a pod above it",
        ),
        Scenario(
            name="containers of a pod share the largest node",
            given="two containers that use 5 cores each, nodes of 8",
            boxes=[
                Box(cpu=5, cpu_request="1"),
                Box(name="two", cpu=5, cpu_request="1"),
            ],
            expect={"cpu_request": "<= 4: pod", "two cpu_request": "<= 4: pod"},
            why="a pod of 10 cores fits nowhere",
        ),
        Scenario(
            name="sidecar and app share the largest node",
            given="a native sidecar and an app that use 5 cores each, nodes of 8",
            boxes=[
                Box(cpu=5, cpu_request="1"),
                Box(name="mesh", cpu=5, cpu_request="1", type="sidecar"),
            ],
            expect={"cpu_request": "<= 4: pod", "mesh cpu_request": "<= 4: pod"},
            why="a sidecar runs beside the app all the time",
        ),
        Scenario(
            name="init container does not share with the app",
            given="an init container and an app that use 5 cores each, nodes of 8",
            boxes=[
                Box(cpu=5, cpu_request="1"),
                Box(name="migrate", cpu=5, cpu_request="1", type="init"),
            ],
            expect={"cpu_request": ">= 5"},
            why="it is over before the app begins",
        ),
        Scenario(
            name="ceiling above the node yields to the node",
            given="uses 9 cores somewhere, ceiling of 16; nodes of 8",
            boxes=[Box(cpu=9, cpu_request="4")],
            policy={"cpu_ceiling": "16"},
            expect={"cpu_request": "<= 8"},
            why="no node has more",
        ),
    ),
    "Nodes, once more": (
        Scenario(
            name="term of an affinity without conditions matches no node",
            given="nodeSelectorTerms is an empty list; a raise that fits its node",
            boxes=[
                Box(
                    cpu=1.4,
                    cpu_request="500m",
                    asks={
                        "affinity": {
                            "nodeAffinity": {
                                "requiredDuringSchedulingIgnoredDuringExecution": {
                                    "nodeSelectorTerms": [{}]
                                }
                            }
                        }
                    },
                )
            ],
            nodes=pool(4, 4),
            expect={"cpu_request": ">= 1400m"},
            why="its pods run, so the description is older or newer than they are: where they "
            "stand counts",
        ),
        Scenario(
            name="node that takes no pods at all takes no raise",
            given="two nodes of 2 cores, one of which takes no pods; the other is full",
            boxes=[
                Box(cpu=1.4, cpu_request="500m"),
                Box(name="big", workload="big", cpu=1.45, cpu_request="1500m", pod={"node": "n0"}),
            ],
            nodes=gives(pool(2, 2), {"pods": 110}, {"pods": 0}),
            expect={"cpu_request": "stays: nodes"},
            why="none is not the usual 110",
        ),
        Scenario(
            name="raise that keeps away from another app finds no node",
            given="two nodes; pods must not stand beside those of db, which runs on the empty one",
            boxes=[
                Box(
                    cpu=1.4,
                    cpu_request="500m",
                    asks={
                        "affinity": {
                            "podAntiAffinity": {
                                "requiredDuringSchedulingIgnoredDuringExecution": [
                                    {
                                        "topologyKey": "kubernetes.io/hostname",
                                        "labelSelector": {"matchLabels": {"app": "db"}},
                                    }
                                ]
                            }
                        }
                    },
                ),
                Box(name="db", workload="db", cpu=0.1, cpu_request="100m", asks={}),
                Box(
                    name="big",
                    workload="big",
                    cpu=1.45,
                    cpu_request="1500m",
                    asks={},
                    pod={"node": "n0"},
                ),
            ],
            nodes=pool(2, 2),
            expect={"cpu_request": "stays: nodes"},
            why="the node with room has a pod that it keeps away from",
        ),
        Scenario(
            name="affinity that excludes a pool keeps a raise off it",
            given="pool not in (b); the node of a is full, that of b empty",
            boxes=[
                Box(cpu=1.4, cpu_request="500m", asks=affinity("pool", "NotIn", "b")),
                Box(
                    name="big",
                    workload="big",
                    cpu=1.45,
                    cpu_request="1500m",
                    asks={},
                    pod={"node": "n0"},
                ),
            ],
            nodes=pools(("a", 2), ("b", 4)),
            expect={"cpu_request": "stays: nodes"},
            why="the scheduler would not put it there",
        ),
        Scenario(
            name="affinity to several pools lets a raise go to either",
            given="pool in (a, b); the node of a is full, that of b empty",
            boxes=[
                Box(cpu=1.4, cpu_request="500m", asks=affinity("pool", "In", "a", "b")),
                Box(
                    name="big",
                    workload="big",
                    cpu=1.45,
                    cpu_request="1500m",
                    asks=affinity("pool", "In", "a"),
                    pod={"node": "n0"},
                ),
            ],
            nodes=pools(("a", 2), ("b", 4)),
            expect={"cpu_request": ">= 1400m"},
            why="the scheduler puts it where there is room",
        ),
        Scenario(
            name="DaemonSet is raised only where every node has room",
            given="a DaemonSet that uses 900m of 100m; one of its nodes is full",
            boxes=[
                Box(kind="DaemonSet", cpu=0.9, cpu_request="100m", replicas=2, like=(1, 1)),
                Box(name="big", workload="big", cpu=1.8, cpu_request="1900m", pod={"node": "n1"}),
            ],
            nodes=nodes(2, 2),
            expect={"cpu_request": "stays: nodes"},
            why="one of its pods would wait for ever",
        ),
        Scenario(
            name="replicas are placed together",
            given="three pods that want 1500m on three nodes of 2 cores with 1 core taken on one",
            boxes=[
                Box(cpu=1.4, cpu_request="500m", replicas=3, like=(1, 1, 1)),
                Box(name="other", workload="other", cpu=0.95, cpu_request="1", pod={"node": "n0"}),
            ],
            nodes=nodes(2, 2, 2),
            expect={"cpu_request": "stays: nodes"},
            why="two of them fit, and the third does not",
        ),
        Scenario(
            name="nodes that are added take a raise",
            given="one node of 2 cores is full; nodes are added",
            boxes=[
                Box(cpu=1.4, cpu_request="500m"),
                Box(name="big", workload="big", cpu=1.45, cpu_request="1500m"),
            ],
            nodes=nodes(2),
            policy={"new_nodes": True},
            expect={"cpu_request": ">= 1400m"},
            why="a node of the same kind has room for it",
        ),
    ),
    "Autoscalers, once more": (
        Scenario(
            name="HPA that looks at another container leaves this one free",
            given="a container metric of 60 % of the proxy's CPU; uses 100m of 500m",
            boxes=[
                Box(more=hpa(container="proxy")),
                Box(name="proxy", cpu=0.3, cpu_request="500m", more=hpa(container="proxy")),
            ],
            expect={"cpu_request": "falls", "proxy cpu_request": "stays: hands off"},
            why="its request is no part of what the target is a share of",
        ),
        Scenario(
            name="HPA of a container without a request is left to its owner",
            given="an HPA at 60 % of CPU, and no request that it could be a share of",
            boxes=[Box(cpu_request=None, more=hpa())],
            expect={"cpu_request": "none: hands off"},
            why="it does not scale now, and would begin to",
        ),
        Scenario(
            name="target of memory follows its request",
            given="HPA at 80 % of memory, uses 500Mi of 1Gi",
            boxes=[Box(memory=500, more=hpa("memory", 80))],
            policy={"hpa": "together"},
            expect={"memory_request": "falls", "with it": "HPA web, target of memory 80 % ->"},
            why="the scale point stays at 819Mi a pod",
        ),
        Scenario(
            name="VPA that resizes in place has the say",
            given="a VerticalPodAutoscaler in mode InPlaceOrRecreate",
            boxes=[Box(more={"vpa": "InPlaceOrRecreate"})],
            expect={"cpu_request": "stays: hands off"},
            why="two hands on one amount",
        ),
    ),
    "Usage, once more": (
        Scenario(
            name="one busy replica of three keeps what it needs",
            given="a StatefulSet whose leader uses 5 times what its followers do; 1 core requested",
            boxes=[Box(kind="StatefulSet", cpu=0.1, like=(5, 1, 1), replicas=3, cpu_request="1")],
            expect={"cpu_request": ">= 450m", "note": "pods differ"},
            why="all have one template, and the leader would starve",
        ),
        Scenario(
            name="memory that grows slowly is met before it fills its limit",
            given="grows from 300Mi by 20Mi a day; 640Mi requested, 2Gi allowed",
            boxes=[Box(memory=grows(300, 20), memory_request="640Mi")],
            expect={"memory_request": ">= 780Mi"},
            why="next week it stands at 860Mi",
        ),
        Scenario(
            name="level that was left counts while a recent review still saw it",
            given="1 core until 20 days ago, 100m since; 2 cores requested",
            boxes=[Box(cpu=moves(1.0, 0.1, 1), cpu_request="2")],
            expect={"cpu_request": "1: lasting"},
            why="a fortnight ago one day in seven was as busy",
        ),
        Scenario(
            name="kill long ago at a limit since raised is no reason",
            given="killed at 256Mi two weeks ago, at 200Mi of 2Gi since",
            boxes=[Box(memory=moves(255, 200, 3), kills=[(3, "256Mi")], memory_limit="2Gi")],
            expect={"memory_limit": ">= 256Mi", "memory_request": "falls"},
            why="what killed then is far below what holds",
        ),
        Scenario(
            name="weekend without use does not shrink a weekday's request",
            given="800m on five days of seven, 20m on two; 1 core requested",
            boxes=[Box(cpu=peaks(0.02, 0.8, every=7, hours=120), cpu_request="1")],
            expect={"cpu_request": ">= 800m"},
            why="Monday comes",
        ),
    ),
    "Namespaces, once more": (
        Scenario(
            name="quota of a priority class leaves other pods their raises",
            given="a full quota that counts the class vital; a pod of the class plain uses 900m",
            boxes=[Box(cpu=0.9, cpu_request="200m", pod={"priority_class": "plain"})],
            quota=FULL,
            scopes=[("PriorityClass", "In", ["vital"])],
            expect={"cpu_request": ">= 900m"},
            why="it is not counted there",
        ),
        Scenario(
            name="quota of a priority class holds the raises of its own",
            given="a full quota that counts the class vital; a pod of that class uses 900m",
            boxes=[Box(cpu=0.9, cpu_request="200m", pod={"priority_class": "vital"})],
            quota=FULL,
            scopes=[("PriorityClass", "In", ["vital"])],
            expect={"cpu_request": "stays: quota"},
            why="a new pod would be refused",
        ),
        Scenario(
            name="quota of all but a class does not count that class",
            given="a full quota that counts what is not vital; a vital pod uses 900m",
            boxes=[Box(cpu=0.9, cpu_request="200m", pod={"priority_class": "vital"})],
            quota=FULL,
            scopes=[("PriorityClass", "NotIn", ["vital"])],
            expect={"cpu_request": ">= 900m"},
            why="it is not counted there",
        ),
        Scenario(
            name="quota of pods that end does not count a server",
            given="a full quota of the scope Terminating",
            boxes=[Box(cpu=0.9, cpu_request="200m")],
            quota=FULL,
            scopes=[("Terminating", "Exists", [])],
            expect={"cpu_request": ">= 900m"},
            why="the pods of a Deployment may have no deadline",
        ),
        Scenario(
            name="ratio of pods keeps a request near its limit",
            given="a LimitRange admits pods twice their requests as limits; uses 100m of 500m",
            boxes=[Box(cpu_limit="1")],
            policy={"cpu_limit": "keep"},
            limit_range={"pod cpu maxLimitRequestRatio": 2},
            expect={"cpu_request": "500m: limit range"},
            why="with less, a new pod would be refused",
        ),
        Scenario(
            name="max of pods keeps a limit declared",
            given="a LimitRange with a max for pods; a limit of 1 core",
            boxes=[Box(cpu_limit="1")],
            limit_range={"pod cpu max": 4.0},
            expect={"cpu_limit": "1: limit range", "cpu_request": "falls"},
            why="a pod without any limit would be refused",
        ),
        Scenario(
            name="limit of the whole pod bounds requests too",
            given="a pod with a limit of 500m, and no request, as a whole; uses 900m of 200m",
            boxes=[Box(cpu=0.9, cpu_request="200m", more={"pod_cpu_limit_cores": 0.5})],
            expect={"cpu_request": "<= 500m: pod"},
            why="the API server refuses more",
        ),
        Scenario(
            name="request that falls makes room for its sidecar",
            given="one node of 1.3 cores; the app uses 50m of 1 core, its sidecar 900m of 200m",
            boxes=[
                Box(cpu=0.05, cpu_request="1"),
                Box(cpu=0.9, cpu_request="200m", name="mesh", type="sidecar"),
            ],
            nodes=nodes(1.3),
            expect={"cpu_request": "falls", "mesh cpu_request": ">= 900m"},
            why="a pod is placed by the sum of both",
        ),
        Scenario(
            name="runtime's overhead takes from what a node has for a pod",
            given="nodes of 2 cores; uses 1.9 cores of 500m in a sandbox that takes 250m",
            boxes=[Box(cpu=1.9, cpu_request="500m", pod={"overhead_cpu_cores": 0.25})],
            nodes=nodes(2.0, 2.0),
            expect={"cpu_request": "<= 1750m: nodes"},
            why="with more it could not be placed",
        ),
        Scenario(
            name="HPA that may run one number of pods leaves the request free",
            given="an HPA at 60 % of CPU with a min and a max of 3; uses 100m of 500m",
            boxes=[Box(more=hpa(least=3, most=3), replicas=3, like=(1, 1, 1))],
            expect={"cpu_request": "falls", "note": "once it may run other than 3 pods"},
            why="it scales nothing; what a wider range would bring is told",
        ),
    ),
    "Runtimes, once more": (
        Scenario(
            name="heap of .NET that is a share of the limit keeps the limit",
            given="DOTNET_GCHeapHardLimitPercent=0x4B; uses 300Mi of 2Gi",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"env": [{"name": "DOTNET_GCHeapHardLimitPercent", "value": "0x4B"}]},
                )
            ],
            expect={"memory_limit": "stays: at least", "memory_request": "falls"},
            why="a lower limit would take heap away",
        ),
        Scenario(
            name="watermark of a broker that is a share of the limit keeps the limit",
            given="a RabbitMQ that blocks publishers at 0.6 of its memory",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"args": ["vm_memory_high_watermark.relative = 0.6"]},
                )
            ],
            expect={"memory_limit": "stays: at least", "memory_request": "falls"},
            why="with a lower one publishers are blocked earlier",
        ),
        Scenario(
            name="heap in JAVA_TOOL_OPTIONS keeps its limit",
            given="JAVA_TOOL_OPTIONS=-Xms256m -Xmx1g",
            boxes=[
                Box(
                    memory=300,
                    settings={"env": [{"name": "JAVA_TOOL_OPTIONS", "value": "-Xms256m -Xmx1g"}]},
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="every JVM reads it",
        ),
        Scenario(
            name="heap in NODE_OPTIONS keeps its limit",
            given="NODE_OPTIONS=--max-old-space-size=1024",
            boxes=[
                Box(
                    memory=300,
                    settings={
                        "env": [{"name": "NODE_OPTIONS", "value": "--max-old-space-size=1024"}]
                    },
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="Node.js reads it",
        ),
        Scenario(
            name="garbled heap is no bound",
            given="-Xmxlots in its arguments",
            boxes=[Box(memory=200, settings={"args": ["-Xmxlots"]})],
            expect={"memory_limit": "falls"},
            why="no JVM would start with it",
        ),
        Scenario(
            name="heap as a share does not fall below what was used",
            given="-XX:MaxRAMPercentage=50; uses 900Mi of a limit of 2Gi",
            boxes=[Box(memory=900, settings={"args": ["-XX:MaxRAMPercentage=50"]})],
            expect={"memory_limit": "stays: at least"},
            why="a lower limit is a smaller heap",
        ),
    ),
}
