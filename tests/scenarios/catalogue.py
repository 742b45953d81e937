"""Every scenario, by what it is about. The table in the documentation is made from this file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from analyzer.presets import PRESETS
from tests.scenarios.combined import COMBINED
from tests.scenarios.further import FURTHER
from tests.scenarios.parts import affinity, gives, hpa, lived, nodes, pool, pools
from tests.scenarios.world import Box, Scenario, climbs, grows, moves, peaks, starts

GIB = 1024


_OWN = {"matchLabels": {"app": "web"}}
APART = {
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": _OWN}
            ]
        }
    }
}
SPREAD = {
    "topologySpreadConstraints": [
        {
            "topologyKey": "zone",
            "maxSkew": 1,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": _OWN,
        }
    ]
}
BEARS = {"key": "gpu", "operator": "Exists"}
VITAL = {"priority_class": "vital"}


SCENARIOS: Mapping[str, Sequence[Scenario]] = {
    "What usage speaks for": (
        Scenario(
            name="idle container gives back what it does not use",
            given="uses 100m and 200Mi of 500m and 1Gi",
            boxes=[Box()],
            expect={"cpu_request": "falls", "memory_request": "falls", "memory_limit": "falls"},
            why="a request above what is used keeps others off the node",
        ),
        Scenario(
            name="request that fits stays",
            given="uses 460m of 500m and 900Mi of 1Gi",
            boxes=[Box(cpu=0.46, memory=900)],
            expect={"cpu_request": "stays", "memory_request": "stays"},
            why="a change is not worth a restart",
        ),
        Scenario(
            name="starved CPU request rises",
            given="uses 900m of 200m requested",
            boxes=[Box(cpu=0.9, cpu_request="200m")],
            expect={"cpu_request": ">= 900m"},
            why="it lives on what its neighbours leave",
        ),
        Scenario(
            name="memory above its request raises it",
            given="uses 900Mi of 512Mi requested, 2Gi limit",
            boxes=[Box(memory=900, memory_request="512Mi")],
            expect={"memory_request": ">= 900Mi"},
            why="such a pod is evicted first where the node runs out",
        ),
        Scenario(
            name="nothing declared is declared",
            given="uses 100m and 200Mi, no requests, no limits",
            boxes=[Box(cpu_request=None, memory_request=None, memory_limit=None)],
            expect={
                "cpu_request": "declared: declare",
                "memory_request": "declared: declare",
                "memory_limit": "none: keep",
                "cpu_limit": "none",
            },
            why="the scheduler counts requests; a new limit could only kill",
        ),
        Scenario(
            name="limit without a request is a request",
            given="limits of 1 and 1Gi, no requests; uses 100m and 200Mi",
            boxes=[Box(cpu_request=None, memory_request=None, cpu_limit="1", memory_limit="1Gi")],
            expect={"cpu_request": "falls", "memory_request": "falls", "cpu_limit": "removed"},
            why="Kubernetes takes a limit for the request, so that a whole core is reserved",
        ),
        Scenario(
            name="tiny container gets no less than the floor",
            given="uses 1m and 3Mi of 100m and 128Mi",
            boxes=[Box(cpu=0.001, memory=3, cpu_request="100m", memory_request="128Mi")],
            expect={"cpu_request": "5m", "memory_request": "16Mi: floor"},
            why="below the floor an exec, a probe or a log line is too much",
        ),
        Scenario(
            name="growing memory gets room to grow",
            given="grows from 300Mi by 30Mi a day, 640Mi requested",
            boxes=[Box(memory=grows(300, 30), memory_request="640Mi")],
            expect={"memory_request": ">= 930Mi"},
            why="next week starts where this one ends",
        ),
        Scenario(
            name="steady growth is met where it will be",
            given="grows by 5 % a day from 300Mi to 835Mi, without any noise; 512Mi requested",
            boxes=[
                Box(
                    memory=lambda days: 300 * 1.05**days, memory_request="512Mi", memory_limit="4Gi"
                )
            ],
            expect={"memory_request": ">= 1100Mi"},
            why="in a week it stands at 1175Mi",
        ),
        Scenario(
            name="falling CPU is not drawn on downwards",
            given="falls by 5 % a day from 2 cores to 680m; 3 cores requested",
            boxes=[Box(cpu=lambda days: 2 * 0.95**days, cpu_request="3")],
            expect={"cpu_request": ">= 680m"},
            why="a decline ends some day, and nobody knows which",
        ),
        Scenario(
            name="falling memory waits until no recent review wanted more",
            given="1500Mi until nine days ago, 300Mi since; 2Gi requested",
            boxes=[Box(memory=moves(1500, 300, 12), memory_request="2Gi", memory_limit="4Gi")],
            expect={"memory_request": "stays", "cpu_request": "falls"},
            why="a review within the last weeks asked for as much",
        ),
        Scenario(
            name="falling memory is not believed after two days",
            given="1500Mi until two days ago, 300Mi since; 3Gi requested",
            boxes=[Box(memory=moves(1500, 300, 19), memory_request="3Gi", memory_limit="4Gi")],
            expect={"memory_request": ">= 1500Mi"},
            why="a quiet weekend looks just like that",
        ),
        Scenario(
            name="rising CPU is believed at once",
            given="100m until two days ago, 800m since; 200m requested",
            boxes=[Box(cpu=moves(0.1, 0.8, 19), cpu_request="200m")],
            expect={"cpu_request": ">= 800m"},
            why="it is short of CPU today",
        ),
        Scenario(
            name="new image that needs less is believed in time",
            given="a new image nine days ago brought 1500Mi down to 400Mi",
            boxes=[
                Box(
                    memory=moves(1500, 400, 12),
                    memory_request="2Gi",
                    memory_limit="4Gi",
                    image_changed=12,
                )
            ],
            expect={"memory_request": "falls"},
            why="the old image's usage says nothing of the new one",
        ),
        Scenario(
            name="busy hour of every night is not lost in the average",
            given="50m, and 2 cores for an hour each night; 1 core requested",
            boxes=[Box(cpu=peaks(0.05, 2.0), cpu_request="1")],
            expect={"cpu_request": ">= 400m"},
            why="a quarter of the busy hour is kept whatever the share of the time says",
        ),
        Scenario(
            name="weekly batch keeps its memory",
            given="200Mi, and 1800Mi for three hours a week; 2Gi requested and allowed",
            boxes=[
                Box(
                    memory=peaks(200, 1800, every=7, hours=3),
                    memory_request="2Gi",
                    memory_limit="2Gi",
                )
            ],
            expect={"memory_limit": ">= 2Gi", "memory_request": ">= 1500Mi"},
            why="the batch comes back next week, and a limit below it kills",
        ),
        Scenario(
            name="peak of three weeks ago still bounds the limit",
            given="200Mi, and 1500Mi once 20 days ago; limit 2Gi",
            boxes=[
                Box(
                    memory=peaks(200, 1500, every=100, hours=24),
                    memory_request="512Mi",
                    memory_limit="2Gi",
                )
            ],
            expect={"memory_limit": ">= 1800Mi"},
            why="what happened once happens again, and a limit reserves nothing",
        ),
    ),
    "Limits": (
        Scenario(
            name="CPU limit goes",
            given="limit of 1 core, uses 100m",
            boxes=[Box(cpu_limit="1")],
            expect={"cpu_limit": "removed: remove"},
            why="a request guarantees, a limit only throttles",
        ),
        Scenario(
            name="CPU limit is kept where the policy keeps it",
            given="limit of 1 core, uses 100m",
            boxes=[Box(cpu_limit="1")],
            policy={"cpu_limit": "keep"},
            expect={"cpu_limit": "stays: keep", "cpu_request": "falls"},
            why="the policy says so",
        ),
        Scenario(
            name="CPU limit as a multiple of the request",
            given="limit of 4 cores, uses 100m of 500m",
            boxes=[Box(cpu_limit="4")],
            policy={"cpu_limit": "ratio", "cpu_limit_ratio": 3.0},
            expect={"cpu_limit": "falls: ratio"},
            why="three times the new request",
        ),
        Scenario(
            name="request does not pass a CPU limit that is kept",
            given="uses 1.5 cores, throttled by nothing, limit of 2 kept, 100m requested",
            boxes=[Box(cpu=1.95, cpu_request="100m", cpu_limit="2")],
            policy={"cpu_limit": "keep"},
            expect={"cpu_request": "<= 2", "cpu_limit": "stays"},
            why="Kubernetes refuses a request above its limit",
        ),
        Scenario(
            name="throttled container is not lowered",
            given="throttled in half of the time at its limit of 500m, 400m requested",
            boxes=[Box(cpu=0.3, cpu_request="400m", cpu_limit="500m", throttled=0.5)],
            expect={"cpu_request": ">= 400m", "cpu_limit": "removed"},
            why="what it used is what it was allowed, not what it needs",
        ),
        Scenario(
            name="being throttled now and then says little",
            given="throttled in one step of a hundred at a limit of 500m that is kept; uses 100m",
            boxes=[Box(cpu_limit="500m", throttled=0.01)],
            policy={"cpu_limit": "keep"},
            expect={"cpu_request": "falls"},
            why="what it used in the other steps is what it needed",
        ),
        Scenario(
            name="memory limit keeps room above the highest peak",
            given="peaks of 1Gi, limit 4Gi, 2Gi requested",
            boxes=[Box(memory=peaks(400, 1024), memory_request="2Gi", memory_limit="4Gi")],
            expect={"memory_limit": ">= 1200Mi"},
            why="a limit reserves nothing, and below a peak it kills",
        ),
        Scenario(
            name="memory limit that has held is not raised",
            given="900Mi of a limit of 1Gi for three weeks, never killed",
            boxes=[Box(memory=900, memory_request="1Gi", memory_limit="1Gi")],
            expect={"memory_limit": "stays: held"},
            why="caches and heaps fill what they get; it has shown that it suffices",
        ),
        Scenario(
            name="request is not held to a limit that is taken away",
            given="900Mi of a limit of 904Mi, never killed; 512Mi requested; no limits wanted",
            boxes=[Box(memory=900, memory_request="512Mi", memory_limit="904Mi")],
            policy={"memory_limit": "none"},
            expect={"memory_request": ">= 910Mi", "memory_limit": "removed"},
            why="what held it is gone, and the need shows",
        ),
        Scenario(
            name="memory limit is not lowered before a start was seen",
            given="uses 200Mi of 2Gi, no start in the window",
            boxes=[Box(starts=False)],
            expect={"memory_limit": "stays: start", "memory_request": "falls"},
            why="the change itself causes a start, which may need more",
        ),
        Scenario(
            name="memory limit alone is not lowered",
            given="request fits, limit 8Gi",
            boxes=[Box(cpu=0.46, memory=930, memory_limit="8Gi")],
            expect={"memory_limit": "stays: alone", "memory_request": "stays"},
            why="it frees nothing and costs a restart",
        ),
        Scenario(
            name="memory limit equals the request on demand",
            given="uses 200Mi of 1Gi, limit 2Gi",
            boxes=[Box()],
            policy={"memory_limit": "request"},
            expect={"memory_limit": "falls: request", "memory_request": "falls"},
            why="the policy wants no overcommitted memory",
        ),
        Scenario(
            name="memory limit is taken away on demand",
            given="limit 2Gi",
            boxes=[Box()],
            policy={"memory_limit": "none"},
            expect={"memory_limit": "removed: remove"},
            why="the policy sets no memory limits",
        ),
        Scenario(
            name="missing limits come on demand alone",
            given="no limits at all",
            boxes=[Box(memory_limit=None)],
            policy={"add_missing_limits": True},
            expect={"memory_limit": "declared"},
            why="the policy asks for it",
        ),
        Scenario(
            name="guaranteed pod stays guaranteed on demand",
            given="requests equal limits: 1 core, 1Gi; uses 100m and 200Mi",
            boxes=[Box(cpu_request="1", cpu_limit="1", memory_request="1Gi", memory_limit="1Gi")],
            policy={"keep_qos": True},
            expect={"cpu_limit": "falls: qos", "memory_limit": "falls"},
            why="request and limit move as one, so that the class stays",
        ),
        Scenario(
            name="leaving the guaranteed class is said",
            given="requests equal limits: 1 core, 1Gi",
            boxes=[Box(cpu_request="1", cpu_limit="1", memory_request="1Gi", memory_limit="1Gi")],
            expect={"note": "Guaranteed QoS class", "cpu_limit": "removed"},
            why="the node evicts it sooner then",
        ),
    ),
    "Kills": (
        Scenario(
            name="killed at its limit gets a higher one",
            given="200Mi rising to 480Mi, killed once at 512Mi by a burst",
            boxes=[
                Box(
                    memory=peaks(200, 505),
                    memory_request="512Mi",
                    memory_limit="512Mi",
                    kills=[(17.02, "512Mi")],
                )
            ],
            expect={"memory_limit": "rises"},
            why="its need is above the limit that was hit",
        ),
        Scenario(
            name="killed far below its limit is not raised",
            given="uses 100Mi of 1Gi, killed once: the node ran out",
            boxes=[Box(memory=100, memory_limit="1Gi", kills=[(16, "1Gi")])],
            expect={"memory_limit": "stays", "memory_request": "stays: killed"},
            why="the limit was not the cause, and a lower request would choose it again",
        ),
        Scenario(
            name="what fills every limit is not raised for ever",
            given="killed at 256Mi, at 512Mi and at 1Gi, each reached after hours of climbing",
            boxes=[
                Box(
                    memory=climbs(100, 1020, 3),
                    memory_request="1Gi",
                    memory_limit="1Gi",
                    kills=[
                        (3, "256Mi"),
                        (6, "512Mi"),
                        (9, "1Gi"),
                        (12, "1Gi"),
                        (15, "1Gi"),
                        (18, "1Gi"),
                    ],
                )
            ],
            expect={"memory_limit": "stays"},
            why="it fills what it gets and needs a bound of its own",
        ),
        Scenario(
            name="no limit passes the node after a kill",
            given="killed at 30Gi on nodes of 32Gi",
            boxes=[
                Box(
                    memory=peaks(20 * GIB, 30.5 * GIB),
                    memory_request="30Gi",
                    memory_limit="31Gi",
                    kills=[(17.02, "31Gi")],
                )
            ],
            expect={"memory_limit": "<= 32Gi"},
            why="a limit above the node protects nobody",
        ),
    ),
    "Autoscalers": (
        Scenario(
            name="HPA on CPU keeps its scale point",
            given="HPA at 60 % of CPU, uses 100m of 500m",
            boxes=[Box(more=hpa(), replicas=2, like=(1, 1))],
            expect={"cpu_request": "stays: hands off", "memory_request": "falls"},
            why="a new request would move the point at which it scales",
        ),
        Scenario(
            name="HPA on memory leaves CPU free",
            given="HPA at 70 % of memory, uses 100m of 500m",
            boxes=[Box(more=hpa("memory", 70), replicas=2, like=(1, 1))],
            expect={"memory_request": "stays: hands off", "cpu_request": "falls"},
            why="only memory moves its scale point",
        ),
        Scenario(
            name="HPA is ignored on demand",
            given="HPA at 60 % of CPU, uses 100m of 500m",
            boxes=[Box(more=hpa(), replicas=2, like=(1, 1))],
            policy={"hpa": "ignore"},
            expect={"cpu_request": "falls"},
            why="the policy says that its owner sets the target anew",
        ),
        Scenario(
            name="HPA on an average value does not depend on requests",
            given="HPA at an average of 300m of CPU",
            boxes=[
                Box(
                    more={
                        "hpa": json.dumps(
                            {
                                "name": "web",
                                "min": 2,
                                "max": 9,
                                "metrics": [
                                    {"resource": "cpu", "type": "AverageValue", "value": 0.3}
                                ],
                            }
                        )
                    },
                    replicas=2,
                    like=(1, 1),
                )
            ],
            expect={"cpu_request": "falls"},
            why="its scale point is an amount, not a share of the request",
        ),
        Scenario(
            name="VPA that updates has the say",
            given="a VerticalPodAutoscaler in mode Auto; uses 100m of 500m, limit 1 core",
            boxes=[Box(cpu_limit="1", more={"vpa": "Auto"})],
            expect={
                "cpu_request": "stays: hands off",
                "cpu_limit": "stays: hands off",
                "memory_request": "stays: hands off",
                "memory_limit": "stays: hands off",
            },
            why="two that set the same amounts would undo each other",
        ),
        Scenario(
            name="VPA that only recommends is no hindrance",
            given="a VerticalPodAutoscaler in mode Off; uses 100m of 500m",
            boxes=[Box(more={"vpa": "Off"})],
            expect={"cpu_request": "falls"},
            why="it sets nothing",
        ),
        Scenario(
            name="VPA is ignored on demand",
            given="a VerticalPodAutoscaler in mode Initial; uses 100m of 500m",
            boxes=[Box(more={"vpa": "Initial"})],
            policy={"vpa": "ignore"},
            expect={"cpu_request": "falls"},
            why="the policy says so, as on the way from one to the other",
        ),
        Scenario(
            name="KEDA scales by an HPA",
            given="an HPA that KEDA made, at 60 % of CPU",
            boxes=[Box(more=hpa(name="keda-hpa-orders"), replicas=2, like=(1, 1))],
            expect={"cpu_request": "stays: hands off"},
            why="the ScaledObject's trigger is a share of the request",
        ),
        Scenario(
            name="HPA on CPU and memory has both",
            given="an HPA at 60 % of CPU and 70 % of memory",
            boxes=[
                Box(
                    more={
                        "hpa": json.dumps(
                            {
                                "name": "web",
                                "metrics": [
                                    {"resource": "cpu", "value": 60},
                                    {"resource": "memory", "value": 70},
                                ],
                            }
                        )
                    }
                )
            ],
            expect={"cpu_request": "stays: hands off", "memory_request": "stays: hands off"},
            why="either would move a scale point",
        ),
        Scenario(
            name="moved scale point is said",
            given="an HPA at 60 % of CPU that the policy ignores; uses 100m of 500m",
            boxes=[Box(more=hpa())],
            policy={"hpa": "ignore"},
            expect={"cpu_request": "falls", "note": "its point moves from 300m to"},
            why="it will run more pods under the same load",
        ),
        Scenario(
            name="HPA on CPU does not keep the CPU limit",
            given="an HPA at 60 % of CPU, limit 1 core",
            boxes=[Box(cpu_limit="1", more=hpa())],
            expect={"cpu_request": "stays: hands off", "cpu_limit": "removed"},
            why="it scales by the request alone",
        ),
        Scenario(
            name="HPA by a limit alone keeps what that limit requests",
            given="an HPA at 60 % of CPU, a limit of 1 core and no request",
            boxes=[Box(cpu_request=None, cpu_limit="1", more=hpa())],
            expect={"cpu_request": "1", "cpu_limit": "removed"},
            why="the limit was the request; written down, the scale point stays",
        ),
    ),
    "Autoscalers: request and target together": (
        Scenario(
            name="target follows a lower request",
            given="HPA at 60 % of CPU, uses 380m of 1 core",
            boxes=[Box(cpu=0.38, cpu_request="1", more=hpa(target=40), replicas=2, like=(1, 1))],
            policy={"hpa": "together"},
            expect={"cpu_request": "falls", "with it": "^HPA web, target of CPU 40 % -> "},
            why="the scale point stays, so that as many pods run under the same load",
        ),
        Scenario(
            name="target follows a higher request",
            given="HPA at 60 % of CPU, uses 450m of 250m",
            boxes=[Box(cpu=0.45, cpu_request="250m", more=hpa(), replicas=10, like=(1,) * 3)],
            policy={"hpa": "together"},
            expect={"cpu_request": ">= 450m", "with it": "60 % -> [23]\\d %"},
            why="it runs at its most pods: the request alone would have removed some",
        ),
        Scenario(
            name="idle pods keep a request that holds the scale point",
            given="HPA at 60 % of CPU, uses 50m of 500m while the fewest pods run",
            boxes=[Box(cpu=0.05, more=hpa(), replicas=2, like=(1, 1))],
            policy={"hpa": "together"},
            expect={
                "cpu_request": "300m: scale point",
                "with it": "60 % -> 100 %",
            },
            why="under load a pod uses 300m before another one is added",
        ),
        Scenario(
            name="target that is not in Git holds the request",
            given="HPA at 60 % of CPU, which no file of the repository states; uses 380m of 1 core",
            boxes=[Box(cpu=0.38, cpu_request="1", more=hpa(target=40), target_in_git=False)],
            policy={"hpa": "together"},
            expect={"cpu_request": "stays: hands off", "with it": "nothing"},
            why="both or none",
        ),
        Scenario(
            name="target of the whole pod follows the sum",
            given="HPA at 50 % of CPU; the app uses 300m of 1 core, its helper 100m of 200m",
            boxes=[
                Box(cpu=0.3, cpu_request="1", more=hpa(target=40)),
                Box(name="helper", cpu=0.18, cpu_request="200m", more=hpa(target=40)),
            ],
            policy={"hpa": "together"},
            expect={
                "cpu_request": "falls",
                "helper cpu_request": "stays",
                "with it": "^HPA web, target of CPU 40 % -> ",
            },
            why="utilisation is of what all containers of the pod request",
        ),
        Scenario(
            name="target of one container leaves the other free",
            given="HPA at 60 % of the app's CPU; its helper uses 50m of 500m",
            boxes=[
                Box(cpu=0.3, cpu_request="500m", more=hpa(container="app"), target_in_git=False),
                Box(name="helper", cpu=0.05, more=hpa(container="app"), target_in_git=False),
            ],
            expect={"cpu_request": "stays: hands off", "helper cpu_request": "falls"},
            why="the helper's request is no part of what it scales on",
        ),
        Scenario(
            name="container without a request stops its HPA",
            given="HPA at 60 % of CPU; the helper requests nothing",
            boxes=[
                Box(cpu=0.38, cpu_request="1", more=hpa()),
                Box(name="helper", cpu=0.05, cpu_request=None, more=hpa()),
            ],
            policy={"hpa": "together"},
            expect={"cpu_request": "stays: hands off", "helper cpu_request": "none: hands off"},
            why="it can compute no utilisation, and what it would do then is for its owner",
        ),
        Scenario(
            name="HPA without any request is said",
            given="HPA at 60 % of CPU, no request",
            boxes=[Box(cpu_request=None, more=hpa())],
            expect={"cpu_request": "none: hands off"},
            why="declaring one would set the autoscaler going",
        ),
        Scenario(
            name="scale point that no whole percent keeps is refused",
            given="HPA at 3 % of CPU, uses 700m of 400m",
            boxes=[Box(cpu=0.7, cpu_request="400m", more=hpa(target=3))],
            policy={"hpa": "together"},
            expect={"cpu_request": "stays: hands off", "with it": "nothing"},
            why="2 % or 1 % would be far from what its owner has tuned",
        ),
        Scenario(
            name="HPA on memory moves memory's target",
            given="HPA at 50 % of memory, uses 600Mi of 2Gi",
            boxes=[
                Box(memory=600, memory_request="2Gi", memory_limit="4Gi", more=hpa("memory", 30))
            ],
            policy={"hpa": "together"},
            expect={"memory_request": "falls", "with it": "target of memory 30 % -> "},
            why="the law is the same for either resource",
        ),
        Scenario(
            name="raise that only removes replicas says so",
            given="HPA at 60 % of CPU that the policy ignores, 10 pods that use 450m of 300m",
            boxes=[Box(cpu=0.45, cpu_request="300m", more=hpa(), replicas=10, like=(1,) * 4)],
            policy={"hpa": "ignore"},
            expect={"cpu_request": "rises", "note": "the raise only removes replicas"},
            why="each of the fewer pods gets more of the same load",
        ),
    ),
    "Heaps that follow the limit": (
        Scenario(
            name="heap that is a share of the limit is told",
            given="MaxRAMPercentage=75, killed at 512Mi by a burst",
            boxes=[
                Box(
                    memory=peaks(200, 505),
                    memory_request="512Mi",
                    memory_limit="512Mi",
                    kills=[(17.02, "512Mi")],
                    settings={
                        "env": [{"name": "JAVA_TOOL_OPTIONS", "value": "-XX:MaxRAMPercentage=75.0"}]
                    },
                )
            ],
            expect={
                "memory_limit": "rises",
                "note": "MaxRAMPercentage=75 makes it .*i of",
            },
            why="it grows with the limit, and may fill it again",
        ),
    ),
    "Start-up and runs": (
        Scenario(
            name="start burst holds the CPU limit",
            given="uses 100m, and 1.5 cores in its first minutes; limit 2 cores",
            boxes=[Box(cpu=starts(0.1, 1.46), cpu_limit="2")],
            policy={"cpu_limit": "ratio"},
            expect={"cpu_limit": "1500m: start", "cpu_request": "falls"},
            why="twice the request would throttle the start, and its probes do not wait",
        ),
        Scenario(
            name="start that needs no more than steady use holds nothing",
            given="uses 100m from the start on; limit 2 cores",
            boxes=[Box(cpu_limit="2")],
            policy={"cpu_limit": "ratio"},
            expect={"cpu_limit": "<= 300m: ratio"},
            why="what was seen at its start is below twice the request",
        ),
        Scenario(
            name="start that nobody saw holds the CPU limit",
            given="uses 100m for three weeks without a restart; limit 2 cores",
            boxes=[Box(cpu_limit="2", starts=False)],
            policy={"cpu_limit": "ratio"},
            expect={"cpu_limit": "stays: start", "cpu_request": "falls"},
            why="the change restarts it, and what a start takes is not guessed at",
        ),
        Scenario(
            name="Guaranteed pod keeps what its start takes",
            given="2 cores requested and allowed; uses 100m, and 1.5 cores in its first minutes",
            boxes=[
                Box(
                    cpu=starts(0.1, 1.46),
                    cpu_request="2",
                    cpu_limit="2",
                    memory_request="1Gi",
                    memory_limit="1Gi",
                )
            ],
            policy={"keep_qos": True},
            expect={"cpu_limit": "1500m: start", "cpu_request": "1500m: qos"},
            why="its limit is its request, and throttles the start",
        ),
        Scenario(
            name="start that fills the limit keeps it",
            given="uses 100m, and all of its limit of 1 core in its first minutes",
            boxes=[Box(cpu=starts(0.1, 1.02), cpu_limit="1")],
            policy={"cpu_limit": "risk"},
            expect={"cpu_limit": "stays: start"},
            why="it would have used more",
        ),
        Scenario(
            name="start of many times the request is said",
            given="uses 100m, and 1.5 cores in its first minutes",
            boxes=[Box(cpu=starts(0.1, 1.46))],
            expect={
                "cpu_request": "falls",
                "note": "a start uses 1.4\\d of CPU, 1\\d x",
            },
            why="it is as quick as the node has CPU to spare",
        ),
        Scenario(
            name="limit that starts need goes where the policy sets none",
            given="uses 100m, and 1.5 cores in its first minutes; limit 2 cores",
            boxes=[Box(cpu=starts(0.1, 1.46), cpu_limit="2")],
            expect={"cpu_limit": "removed: remove"},
            why="without a limit nothing throttles a start",
        ),
        Scenario(
            name="run is not made longer by its CPU limit",
            given="runs four hours a day, at 200m and an hour at 1.2 cores; limit 3 cores",
            boxes=[
                Box(
                    kind="CronJob",
                    cpu=lambda days: np.where(days % 1 * 24 < 1, 1.2, 0.2),
                    cpu_request="1",
                    cpu_limit="3",
                    runs=4,
                )
            ],
            policy={"cpu_limit": "ratio", "cpu_limit_ratio": 1.0, "cpu_request_risk": 0.4},
            expect={"cpu_limit": ">= 1200m"},
            why="a deadline does not wait either",
        ),
    ),
    "Namespaces: LimitRange": (
        Scenario(
            name="range min holds the request up",
            given="uses 20m and 50Mi; the LimitRange admits no less than 200m and 256Mi",
            boxes=[Box(cpu=0.02, memory=50)],
            limit_range={"cpu min": 0.2, "memory min": 256},
            expect={"cpu_request": "200m: limit range", "memory_request": "256Mi: limit range"},
            why="a pod that asks for less is refused",
        ),
        Scenario(
            name="range max holds the request down",
            given="uses 1.8 cores of 500m; the LimitRange admits 1 core at most",
            boxes=[Box(cpu=1.8, cpu_limit="1")],
            limit_range={"cpu max": 1.0},
            expect={"cpu_request": "1: limit range", "cpu_limit": "<= 1"},
            why="a pod that asks for more is refused",
        ),
        Scenario(
            name="range max keeps the CPU limit declared",
            given="limit of 1 core; the LimitRange has a max of 2",
            boxes=[Box(cpu_limit="1")],
            limit_range={"cpu max": 2.0},
            expect={"cpu_limit": "stays: limit range", "cpu_request": "falls"},
            why="without a limit it would get the max as its default, or be refused",
        ),
        Scenario(
            name="range default replaces no limit that is taken away",
            given="limit of 2 cores; the LimitRange's default is 500m",
            boxes=[Box(cpu=0.3, cpu_limit="2")],
            limit_range={"cpu default": 0.5},
            expect={"cpu_limit": "stays: limit range"},
            why="a removed limit would become one of 500m",
        ),
        Scenario(
            name="range ratio draws the request up to the limit",
            given="uses 50m of 500m, limit 1 core kept; limits of 4 x the request at most",
            boxes=[Box(cpu=0.05, cpu_limit="1")],
            policy={"cpu_limit": "keep"},
            limit_range={"cpu maxLimitRequestRatio": 4},
            expect={"cpu_request": "250m: limit range", "cpu_limit": "stays"},
            why="1 core is 4 x 250m",
        ),
        Scenario(
            name="range ratio holds for memory",
            given="uses 200Mi, limit as it needs; limits of 1 x the request at most",
            boxes=[Box(memory_limit="1Gi")],
            limit_range={"memory maxLimitRequestRatio": 1},
            expect={"memory_request": ">= 240Mi: limit range", "memory_limit": "falls"},
            why="a limit with room above the peak takes its request along",
        ),
        Scenario(
            name="range that contradicts itself changes nothing",
            given="LimitRange with a min of 2 cores and a max of 1",
            boxes=[Box()],
            limit_range={"cpu min": 2.0, "cpu max": 1.0},
            expect={"cpu_request": "stays: limit range", "memory_request": "stays: limit range"},
            why="any new pod is refused, so that a rollout would stand still",
        ),
        Scenario(
            name="range below what is needed kills nobody",
            given="uses 1.9Gi of a limit of 3Gi; a LimitRange made since admits 1Gi",
            boxes=[Box(memory=1900, memory_request="1Gi", memory_limit="3Gi")],
            limit_range={"memory max": 1024},
            expect={"memory_limit": "stays: limit range", "memory_request": "stays"},
            why="at 1Gi it is killed at once; as it is, it runs until its next restart",
        ),
        Scenario(
            name="range of pods holds the sum down",
            given="two containers that use 1.5 cores each; a pod may have 2",
            boxes=[
                Box(cpu=1.5, cpu_request="500m"),
                Box(cpu=1.5, cpu_request="500m", name="proxy"),
            ],
            limit_range={"pod cpu max": 2.0},
            expect={"cpu_request": "1: pod", "proxy cpu_request": "1: pod"},
            why="the sum counts: 1 and 1 of 2",
        ),
        Scenario(
            name="range of pods holds the sum up",
            given="two containers that use 50m each of 500m; a pod has no less than 1 core",
            boxes=[Box(cpu=0.05), Box(cpu=0.05, name="proxy")],
            limit_range={"pod cpu min": 1.0},
            expect={"cpu_request": "stays: at least", "proxy cpu_request": "stays: at least"},
            why="less than a core in all is refused",
        ),
        Scenario(
            name="range min lifts request and limit together",
            given="uses 100Mi of 256Mi, limit 512Mi; a LimitRange made since admits 1Gi or more",
            boxes=[Box(memory=100, memory_request="256Mi", memory_limit="512Mi")],
            limit_range={"memory min": 1024},
            expect={"memory_request": "1Gi: limit range", "memory_limit": ">= 1Gi"},
            why="as it is, its next pod is refused",
        ),
        Scenario(
            name="range max wins over the floor of the policy",
            given="uses 100m, limit 1 core; floor of 2 cores, a LimitRange admits 1 core",
            boxes=[Box(cpu_limit="1")],
            policy={"cpu_floor": "2"},
            limit_range={"cpu max": 1.0},
            expect={"cpu_request": "1: limit range", "cpu_limit": "1"},
            why="the API server knows no policy",
        ),
        Scenario(
            name="range max leaves room for a heap",
            given="-Xmx1g, uses 300Mi of a limit of 2Gi; a LimitRange admits 1536Mi",
            boxes=[
                Box(
                    memory=300,
                    memory_request="1Gi",
                    settings={"args": ["java", "-Xmx1g", "-jar", "app.jar"]},
                )
            ],
            limit_range={"memory max": 1536},
            expect={"memory_limit": "<= 1536Mi", "memory_request": ">= 1Gi"},
            why="1280Mi for the heap and what comes on top fit",
        ),
    ),
    "Namespaces: what the repository says": (
        Scenario(
            name="LimitRange of the repository alone counts",
            given="uses 1.8 cores of 500m; the repository declares a LimitRange of 1 core",
            boxes=[Box(cpu=1.8, cpu_limit="1")],
            declared={"cpu max": 1.0},
            expect={"cpu_request": "1: limit range"},
            why="it arrives sooner or later",
        ),
        Scenario(
            name="tighter of two that differ counts",
            given="uses 1.8 cores of 500m; the cluster admits 1500m, the repository declares 1",
            boxes=[Box(cpu=1.8, cpu_limit="1")],
            limit_range={"cpu max": 1.5},
            declared={"cpu max": 1.0},
            expect={"cpu_request": "1: limit range"},
            why="within both it is admitted whichever comes to hold",
        ),
        Scenario(
            name="two that contradict each other change nothing",
            given="the cluster admits no less than 2 cores, the repository declares 1 at most",
            boxes=[Box()],
            limit_range={"cpu min": 2.0},
            declared={"cpu max": 1.0},
            expect={"cpu_request": "stays: limit range"},
            why="no amount is within both, and nobody can tell which holds",
        ),
    ),
    "Namespaces: quota": (
        Scenario(
            name="quota without room holds a raise",
            given="uses 900m of 200m; the quota of 4 cores is used up to 3.9",
            boxes=[Box(cpu=0.9, cpu_request="200m")],
            quota={"requests.cpu": (4.0, 3.9)},
            expect={"cpu_request": "stays: quota"},
            why="the new pod would be refused",
        ),
        Scenario(
            name="quota with room lets a raise through",
            given="uses 900m of 200m; the quota of 4 cores is used up to 2",
            boxes=[Box(cpu=0.9, cpu_request="200m")],
            quota={"requests.cpu": (4.0, 2.0)},
            expect={"cpu_request": ">= 900m"},
            why="there is room",
        ),
        Scenario(
            name="quota counts every replica",
            given="three replicas that use 900m of 500m; 1 core of the quota is free",
            boxes=[Box(cpu=0.9, replicas=3, like=(1, 1, 1))],
            quota={"requests.cpu": (4.0, 3.0)},
            expect={"cpu_request": "stays: quota"},
            why="three times 400m are more than 1 core",
        ),
        Scenario(
            name="quota takes what others give back",
            given="one uses 900m of 200m, another 100m of 2 cores; the quota is full",
            boxes=[
                Box(cpu=0.9, cpu_request="200m"),
                Box(cpu=0.1, cpu_request="2", name="idle", workload="idle"),
            ],
            quota={"requests.cpu": (2.2, 2.2)},
            expect={"cpu_request": ">= 900m", "idle cpu_request": "falls"},
            why="1.8 cores become free",
        ),
        Scenario(
            name="quota goes to the throttled first",
            given="two want 700m more each, one of them is throttled; there is room for one",
            boxes=[
                Box(cpu=0.9, cpu_request="200m", name="calm", workload="calm"),
                Box(
                    cpu=0.9,
                    cpu_request="200m",
                    cpu_limit="1",
                    throttled=0.5,
                    name="slow",
                    workload="slow",
                ),
            ],
            policy={"cpu_limit": "keep"},
            quota={"requests.cpu": (1.4, 0.4)},
            expect={"calm cpu_request": "stays: quota", "slow cpu_request": "rises"},
            why="what a limit cut off needs it more",
        ),
        Scenario(
            name="quota goes to the higher priority first",
            given="two want 700m more each, one has a priority of 10; there is room for one",
            boxes=[
                Box(cpu=0.9, cpu_request="200m", name="calm", workload="calm"),
                Box(
                    cpu=0.9,
                    cpu_request="200m",
                    name="vital",
                    workload="vital",
                    more={"annotations": '{"rightsize_io_priority": "10"}'},
                ),
            ],
            quota={"requests.cpu": (1.4, 0.4)},
            expect={"calm cpu_request": "stays: quota", "vital cpu_request": "rises"},
            why="its owner said so, by an annotation",
        ),
        Scenario(
            name="quota on limits keeps the CPU limit declared",
            given="limit of 1 core; the quota counts limits.cpu",
            boxes=[Box(cpu_limit="1")],
            quota={"limits.cpu": (10.0, 1.0)},
            expect={"cpu_limit": "stays: quota", "cpu_request": "falls"},
            why="pods without a limit are refused",
        ),
        Scenario(
            name="quota on memory limits keeps them declared",
            given="limit of 2Gi, the policy sets none; the quota counts limits.memory",
            boxes=[Box()],
            policy={"memory_limit": "none"},
            quota={"limits.memory": (8 * GIB, 2 * GIB)},
            expect={"memory_limit": "stays: quota"},
            why="pods without a limit are refused",
        ),
        Scenario(
            name="quota that is passed already still lets requests fall",
            given="quota of 1 core, used 3; uses 100m of 500m",
            boxes=[Box()],
            quota={"requests.cpu": (1.0, 3.0)},
            expect={"cpu_request": "falls"},
            why="giving back is always admitted",
        ),
        Scenario(
            name="quota on memory limits holds a raise of both",
            given="killed at 512Mi; the quota of limits.memory is full",
            boxes=[
                Box(
                    memory=peaks(200, 505),
                    memory_request="512Mi",
                    memory_limit="512Mi",
                    kills=[(17.02, "512Mi")],
                )
            ],
            quota={"limits.memory": (512, 512)},
            expect={"memory_limit": "stays: quota", "memory_request": "<= 512Mi"},
            why="no request may lie above the limit that stays",
        ),
        Scenario(
            name="quota of one resource does not hold the other",
            given="short of CPU and memory; the quota of CPU is full, that of memory is not",
            boxes=[Box(cpu=0.9, cpu_request="200m", memory=900, memory_request="512Mi")],
            quota={"requests.cpu": (0.2, 0.2), "requests.memory": (8 * GIB, 512)},
            expect={"cpu_request": "stays: quota", "memory_request": ">= 900Mi"},
            why="each is counted by itself",
        ),
        Scenario(
            name="quota by its short name counts requests",
            given="uses 900m of 200m; the quota of cpu is full",
            boxes=[Box(cpu=0.9, cpu_request="200m")],
            quota={"cpu": (0.2, 0.2)},
            expect={"cpu_request": "stays: quota"},
            why="cpu is another word for requests.cpu",
        ),
        Scenario(
            name="quota of pods does not count amounts",
            given="uses 900m of 200m; the quota of pods is full",
            boxes=[Box(cpu=0.9, cpu_request="200m")],
            quota={"pods": (1.0, 1.0)},
            expect={"cpu_request": ">= 900m"},
            why="no pod is added",
        ),
    ),
    "Pods": (
        Scenario(
            name="pod larger than the node is not made",
            given="two containers that use 7 cores each on nodes of 8",
            boxes=[
                Box(cpu=7.0, cpu_request="1"),
                Box(cpu=7.0, cpu_request="1", name="proxy"),
            ],
            expect={"cpu_request": "<= 4: pod", "proxy cpu_request": "<= 4: pod"},
            why="together they fit the largest node, or the pod is never scheduled",
        ),
        Scenario(
            name="pod larger than what DaemonSets leave of a node is not made",
            given="uses 7 cores on a node of 8, where a DaemonSet uses 2; nodes are added",
            boxes=[
                Box(cpu=7.0, cpu_request="1"),
                Box(cpu=1.9, cpu_request="2", kind="DaemonSet", name="agent", workload="agent"),
            ],
            policy={"new_nodes": True},
            nodes=nodes(8.0),
            expect={"app cpu_request": "<= 6: pod"},
            why="no node has more than 6 left for it, not even one that is added",
        ),
        Scenario(
            name="container larger than the node gets the node",
            given="uses 12 cores on nodes of 8 (a node that is gone)",
            boxes=[Box(cpu=7.9, cpu_request="1")],
            expect={"cpu_request": "<= 8"},
            why="no node has more",
        ),
        Scenario(
            name="sidecar is judged by itself",
            given="a native sidecar that uses 10m of 500m beside an app that fits",
            boxes=[
                Box(cpu=0.46, memory=930),
                Box(
                    cpu=0.01,
                    memory=20,
                    name="mesh",
                    type="sidecar",
                    memory_limit="256Mi",
                    memory_request="128Mi",
                ),
            ],
            expect={"cpu_request": "stays", "mesh cpu_request": "falls"},
            why="each container has amounts of its own",
        ),
        Scenario(
            name="pod that declares its own amounts is left to it",
            given="pod-level requests of 1 core; the container declares none",
            boxes=[
                Box(
                    cpu_request=None,
                    memory_request="512Mi",
                    more={"pod_cpu_request_cores": 1.0},
                )
            ],
            expect={"cpu_request": "none: declare", "memory_request": "falls"},
            why="the pod shares one amount among its containers",
        ),
        Scenario(
            name="containers do not pass what their pod declares",
            given="two containers that use 900m of 400m; the pod declares 1 core",
            boxes=[
                Box(cpu=0.9, cpu_request="400m", more={"pod_cpu_request_cores": 1.0}),
                Box(cpu=0.9, cpu_request="400m", name="proxy", more={"pod_cpu_request_cores": 1.0}),
            ],
            expect={"cpu_request": "500m: pod", "proxy cpu_request": "500m: pod"},
            why="Kubernetes refuses containers that ask for more than their pod",
        ),
        Scenario(
            name="one hot pod of many is not starved",
            given="eight pods of a DaemonSet, one of which uses 100m always, the others 20m",
            boxes=[
                Box(
                    cpu=0.02,
                    cpu_request="200m",
                    kind="DaemonSet",
                    replicas=8,
                    like=(1, 1, 1, 1, 1, 1, 1, 5),
                )
            ],
            expect={"cpu_request": ">= 100m", "note": "pods differ"},
            why="the risk is borne by a pod, not by the average",
        ),
        Scenario(
            name="leader and followers are told apart",
            given="three pods, one of which holds five times the memory",
            boxes=[
                Box(
                    memory=200,
                    memory_request="512Mi",
                    memory_limit="2Gi",
                    kind="StatefulSet",
                    replicas=3,
                    like=(5, 1, 1),
                )
            ],
            expect={"memory_request": ">= 1000Mi", "note": "split the workload"},
            why="every pod gets the same amounts, and the leader has to live",
        ),
        Scenario(
            name="limit does not pass what the pod declares",
            given="killed at 900Mi; the pod declares a limit of 1Gi",
            boxes=[
                Box(
                    memory=peaks(200, 890),
                    memory_request="512Mi",
                    memory_limit="900Mi",
                    kills=[(17.02, "900Mi")],
                    more={"pod_memory_limit_bytes": 2.0**30},
                )
            ],
            expect={"memory_limit": "1Gi: pod"},
            why="Kubernetes refuses a container that may have more than its pod",
        ),
        Scenario(
            name="sidecar that is short rises beside an app that fits",
            given="a native sidecar that uses 200Mi of 64Mi, limit 512Mi",
            boxes=[
                Box(cpu=0.46, memory=930),
                Box(
                    cpu=0.1,
                    memory=200,
                    cpu_request="100m",
                    memory_request="64Mi",
                    memory_limit="512Mi",
                    name="mesh",
                    type="sidecar",
                ),
            ],
            expect={"memory_request": "stays", "mesh memory_request": ">= 200Mi"},
            why="each container has amounts of its own",
        ),
        Scenario(
            name="equal pods are one container",
            given="a StatefulSet of three pods that use 100m and 200Mi each",
            boxes=[Box(kind="StatefulSet", replicas=3, like=(1, 1, 1))],
            expect={"cpu_request": "falls", "memory_request": "falls"},
            why="what each needs is what one needs",
        ),
    ),
    "Nodes": (
        Scenario(
            name="raise that no node has room for is not made",
            given="one node of 2 cores; one uses 1.5 of 500m, the other fits its 1 core",
            boxes=[
                Box(cpu=1.5),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=nodes(2.0),
            expect={"cpu_request": "stays: nodes", "other cpu_request": "stays"},
            why="its new pod would wait for ever, and the old one is gone",
        ),
        Scenario(
            name="raise moves to a node that has room",
            given="two nodes of 2 cores; the raise fits the emptier one",
            boxes=[
                Box(cpu=1.5),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=nodes(2.0, 2.0),
            expect={"cpu_request": ">= 1500m"},
            why="the scheduler puts the new pod there",
        ),
        Scenario(
            name="raise takes the room that others give back",
            given="one node of 2 cores; one uses 1.3 of 500m, the other 100m of 1500m",
            boxes=[
                Box(cpu=1.3),
                Box(cpu=0.1, cpu_request="1500m", name="other", workload="other"),
            ],
            nodes=nodes(2.0),
            expect={"cpu_request": ">= 1300m", "other cpu_request": "falls"},
            why="together they fit",
        ),
        Scenario(
            name="raise of the throttled comes first",
            given="one node of 2 cores with 1 to spare; two want 800m more, one is throttled",
            boxes=[
                Box(cpu=1.2, name="calm", workload="calm"),
                Box(cpu=1.2, cpu_limit="1500m", throttled=0.5, name="slow", workload="slow"),
            ],
            policy={"cpu_limit": "keep"},
            nodes=nodes(2.0),
            expect={"calm cpu_request": "stays: nodes", "slow cpu_request": "rises"},
            why="what a limit cut off needs it more",
        ),
        Scenario(
            name="raise brings new nodes where they are added",
            given="one node of 2 cores; nodes are added for pods without room",
            boxes=[
                Box(cpu=1.5),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            policy={"new_nodes": True},
            nodes=nodes(2.0),
            expect={"cpu_request": ">= 1500m"},
            why="the policy says that a node comes for it",
        ),
        Scenario(
            name="DaemonSet is not raised beyond the fullest of its nodes",
            given="two nodes of 2 and 8 cores, the small one nearly full; new nodes are added",
            boxes=[
                Box(
                    cpu=0.6,
                    cpu_request="200m",
                    kind="DaemonSet",
                    workload="agent",
                    replicas=2,
                    like=(1, 1),
                    name="agent",
                ),
                Box(
                    cpu=1.45,
                    cpu_request="1500m",
                    name="other",
                    workload="other",
                    kind="StatefulSet",
                    replicas=2,
                    like=(1, 1),
                ),
            ],
            policy={"new_nodes": True},
            nodes=nodes(2.0, 8.0),
            expect={"agent cpu_request": "stays: nodes"},
            why="no new node helps the one that runs on every node",
        ),
        Scenario(
            name="memory of the nodes counts like CPU",
            given="one node of 4Gi; one uses 2Gi of 1Gi, the other fits its 2Gi",
            boxes=[
                Box(memory=2048, memory_request="1Gi", memory_limit="3Gi"),
                Box(memory=1980, memory_request="2Gi", name="other", workload="other"),
            ],
            nodes=nodes(8.0, memory=4),
            expect={"memory_request": "stays: nodes"},
            why="a node without memory evicts",
        ),
        Scenario(
            name="raise stays within the nodes that its pods run on",
            given="a node of 2 cores and, of another size, one of 16; both raised at once",
            boxes=[
                Box(cpu=1.9, cpu_request="1", name="small", workload="small"),
                Box(cpu=1.9, cpu_request="1", name="big", workload="big"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=nodes(2.0, 16.0),
            expect={"small cpu_request": "stays: nodes", "big cpu_request": ">= 1900m"},
            why="selectors and taints are not exported: where it runs is where it may run",
        ),
        Scenario(
            name="raise of a higher priority comes first",
            given="one node of 2 cores, 800m to spare; the large raise has a priority of 10",
            boxes=[
                Box(
                    cpu=1.2,
                    cpu_request="600m",
                    name="large",
                    workload="large",
                    more={"annotations": '{"rightsize_io_priority": "10"}'},
                ),
                Box(cpu=0.9, cpu_request="600m", name="little", workload="little"),
            ],
            nodes=nodes(2.0),
            expect={"large cpu_request": ">= 1200m", "little cpu_request": "stays: nodes"},
            why="its owner said so, by an annotation",
        ),
        Scenario(
            name="small raise finds a place where a large one does not",
            given="one node of 2 cores, 800m to spare; one wants 1500m more, the other 400m",
            boxes=[
                Box(cpu=2.0, cpu_request="600m", name="large", workload="large"),
                Box(cpu=0.9, cpu_request="600m", name="little", workload="little"),
            ],
            nodes=nodes(2.0),
            expect={"large cpu_request": "stays: nodes", "little cpu_request": ">= 900m"},
            why="the smallest come first, so that the most get what they need",
        ),
        Scenario(
            name="raise of all pods or of none",
            given="three nodes of 2 cores, one of them full; three pods want 1500m instead of 500m",
            boxes=[
                Box(cpu=1.4, kind="StatefulSet", replicas=3, like=(1, 1, 1)),
                Box(
                    cpu=1.45,
                    cpu_request="1500m",
                    name="other",
                    workload="other",
                    replicas=3,
                    like=(1, 1, 1),
                ),
            ],
            nodes=nodes(2.0, 2.0, 2.0),
            expect={"cpu_request": "stays: nodes"},
            why="a workload has one template",
        ),
        Scenario(
            name="label of the nodes that tells pods apart is named",
            given="a DaemonSet on two kinds of nodes: 20m on the small, 400m on the big",
            boxes=[
                Box(
                    cpu=0.02,
                    cpu_request="500m",
                    kind="DaemonSet",
                    workload="agent",
                    replicas=4,
                    like=(1, 20, 1, 20),
                )
            ],
            nodes=[
                {**node, "labels": {"pool": pool, "host": node["name"]}}
                for node, pool in zip(
                    nodes(4, 4, 4, 4), ("small", "big", "small", "big"), strict=True
                )
            ],
            expect={"cpu_request": ">= 400m", "note": "pool tells its pods apart"},
            why="one workload per kind of node would free what the small ones do not use",
        ),
        Scenario(
            name="DaemonSet that gives back makes room",
            given="one node of 2 cores; a DaemonSet uses 50m of 1, an app 1300m of 500m",
            boxes=[
                Box(cpu=0.05, cpu_request="1", kind="DaemonSet", name="agent", workload="agent"),
                Box(cpu=1.3, name="app"),
            ],
            nodes=nodes(2.0),
            expect={"agent cpu_request": "falls", "app cpu_request": ">= 1300m"},
            why="what it gives back is free on every node",
        ),
    ),
    "Nodes: where pods may run": (
        Scenario(
            name="taint that a pod does not bear keeps its raise off",
            given="two nodes of 2 cores in one pool, one tainted and empty; the other has no room",
            boxes=[
                Box(cpu=1.5, pod={"tolerations": []}),
                Box(
                    name="spare",
                    workload="spare",
                    cpu=0.01,
                    cpu_request="20m",
                    pod={"tolerations": [BEARS]},
                ),
                Box(
                    cpu=0.95,
                    cpu_request="1",
                    name="other",
                    workload="other",
                    pod={"tolerations": []},
                ),
            ],
            nodes=pool(2.0, 2.0, taints=([], ["gpu=yes:NoSchedule"])),
            expect={"cpu_request": "stays: nodes"},
            why="a raise needs a node that takes its pod",
        ),
        Scenario(
            name="taint that a pod bears lets its raise through",
            given="two nodes of 2 cores in one pool, one tainted and empty; its pod bears that",
            boxes=[
                Box(cpu=1.5, pod={"tolerations": [BEARS]}),
                Box(
                    name="spare",
                    workload="spare",
                    cpu=0.01,
                    cpu_request="20m",
                    pod={"tolerations": [BEARS]},
                ),
                Box(
                    cpu=0.95,
                    cpu_request="1",
                    name="other",
                    workload="other",
                    pod={"tolerations": []},
                ),
            ],
            nodes=pool(2.0, 2.0, taints=([], ["gpu=yes:NoSchedule"])),
            expect={"cpu_request": ">= 1500m"},
            why="the scheduler puts the new pod there",
        ),
        Scenario(
            name="manifest that asks for nothing opens all nodes without taints",
            given="a node of 2 cores and, of another size, an empty one of 16; nothing is tainted",
            boxes=[
                Box(cpu=1.9, cpu_request="1", asks={}),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other", asks={}),
            ],
            nodes=[{**node, "taints": []} for node in nodes(2.0, 16.0)],
            expect={"cpu_request": ">= 1900m"},
            why="its description is known, and lets it run there",
        ),
        Scenario(
            name="manifest does not open a tainted node",
            given="a node of 2 cores and, of another size, an empty one of 16 with a taint",
            boxes=[
                Box(cpu=1.9, cpu_request="1", asks={}),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other", asks={}),
            ],
            nodes=[
                {**node, "taints": taints}
                for node, taints in zip(nodes(2.0, 16.0), ([], ["gpu:NoExecute"]), strict=True)
            ],
            expect={"cpu_request": "stays: nodes"},
            why="its pods do not bear the taint",
        ),
        Scenario(
            name="node selector keeps a raise within its pool",
            given="a selector of pool a, full; pool b has 16 cores free",
            boxes=[
                Box(cpu=1.9, cpu_request="1", asks={"nodeSelector": {"pool": "a"}}),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=pools(("a", 2.0), ("b", 16.0)),
            expect={"cpu_request": "stays: nodes"},
            why="the other pool is not for it",
        ),
        Scenario(
            name="affinity for either of two pools lets a raise into the other",
            given="a node affinity for pools a and b; a is full, b has 16 cores free",
            boxes=[
                Box(cpu=1.9, cpu_request="1", asks=affinity("pool", "In", "a", "b")),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=pools(("a", 2.0), ("b", 16.0)),
            expect={"cpu_request": ">= 1900m"},
            why="one of the two has room",
        ),
        Scenario(
            name="affinity against a pool keeps a raise out of it",
            given="anywhere but in pool b; a is full, b has 16 cores free",
            boxes=[
                Box(cpu=1.9, cpu_request="1", asks=affinity("pool", "NotIn", "b")),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=pools(("a", 2.0), ("b", 16.0)),
            expect={"cpu_request": "stays: nodes"},
            why="its owner keeps it away from there",
        ),
        Scenario(
            name="selector of a label that is not exported opens nothing",
            given="a selector of disk: ssd, which no node is known by; another pool has 16 cores",
            boxes=[
                Box(cpu=1.9, cpu_request="1", asks={"nodeSelector": {"disk": "ssd"}}),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=pools(("a", 2.0), ("b", 16.0)),
            expect={"cpu_request": "stays: nodes"},
            why="what cannot be judged is not guessed: where it runs is where it may run",
        ),
        Scenario(
            name="manifest that the cluster contradicts opens nothing",
            given="the manifest selects pool c, the pod runs in a; b has 16 cores free",
            boxes=[
                Box(cpu=1.9, cpu_request="1", asks=affinity("pool", "In", "b", "c")),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=pools(("a", 2.0), ("b", 16.0)),
            expect={"cpu_request": "stays: nodes"},
            why="one of the two is out of date, and nobody can tell which",
        ),
        Scenario(
            name="pods that keep apart take a node each",
            given="two pods, never two on a node; two nodes of 2 cores are full, one of 16 empty",
            boxes=[
                Box(cpu=1.9, cpu_request="800m", like=(1, 1), replicas=2, asks=APART),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other", like=(1, 1)),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
            ],
            nodes=pool(2.0, 2.0, 16.0),
            expect={"cpu_request": "stays: nodes"},
            why="the large node could take both, and may have one",
        ),
        Scenario(
            name="pods that spread over zones stay within their skew",
            given="two pods, one a zone; zone b's only node is full, zone a has 16 cores",
            boxes=[
                Box(cpu=1.9, cpu_request="800m", like=(1, 1), replicas=2, asks=SPREAD),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other", like=(1, 1)),
            ],
            nodes=[
                {**node, "labels": {"agentpool": "one", "zone": zone}}
                for node, zone in zip(pool(16.0, 2.0), "ab", strict=True)
            ],
            expect={"cpu_request": "stays: nodes"},
            why="both in one zone would be one more than allowed",
        ),
        Scenario(
            name="GPU keeps a pod's raise on nodes with one",
            given="a pod with a GPU on a full node; the other node of its pool has none",
            boxes=[
                Box(cpu=1.9, cpu_request="1", pod={"other_requests": {"nvidia_com_gpu": 1}}),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=gives(pool(2.0, 16.0), {"nvidia_com_gpu": 1}, {}),
            expect={"cpu_request": "stays: nodes"},
            why="its new pod needs a GPU beside its cores",
        ),
        Scenario(
            name="GPU that another pod has is not there for a raise",
            given="two nodes with a GPU each, both taken; the empty cores are beside the other GPU",
            boxes=[
                Box(cpu=1.9, cpu_request="1", pod={"other_requests": {"nvidia_com_gpu": 1}}),
                Box(
                    name="idle",
                    workload="idle",
                    cpu=0.01,
                    cpu_request="20m",
                    pod={"other_requests": {"nvidia_com_gpu": 1}},
                ),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=gives(pool(2.0, 16.0), {"nvidia_com_gpu": 1}, {"nvidia_com_gpu": 1}),
            expect={"cpu_request": "stays: nodes"},
            why="what others hold is held",
        ),
        Scenario(
            name="huge pages bound where a raise fits",
            given="a pod with 1Gi of huge pages; the node with free cores has none",
            boxes=[
                Box(cpu=1.9, cpu_request="1", pod={"other_requests": {"hugepages_2Mi": 2**30}}),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=gives(pool(2.0, 16.0), {"hugepages_2Mi": 2**30}, {"hugepages_2Mi": 0}),
            expect={"cpu_request": "stays: nodes"},
            why="they are set aside when a node starts",
        ),
        Scenario(
            name="ephemeral storage bounds where a raise fits",
            given="a pod with 80Gi of ephemeral storage; the node with free cores has 40Gi",
            boxes=[
                Box(
                    cpu=1.9,
                    cpu_request="1",
                    pod={"other_requests": {"ephemeral_storage": 80 * 2**30}},
                ),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=gives(
                pool(2.0, 16.0),
                {"ephemeral_storage": 100 * 2**30},
                {"ephemeral_storage": 40 * 2**30},
            ),
            expect={"cpu_request": "stays: nodes"},
            why="the scheduler counts it like CPU and memory",
        ),
        Scenario(
            name="node that takes no more pods takes no raise",
            given="the empty node of the pool takes one pod, and has it",
            boxes=[
                Box(cpu=1.9, cpu_request="1"),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=gives(pool(2.0, 16.0), {"pods": 110}, {"pods": 1}),
            expect={"cpu_request": "stays: nodes"},
            why="its number of addresses is used up",
        ),
        Scenario(
            name="cordoned node takes no raise",
            given="the empty node of the pool is cordoned",
            boxes=[
                Box(cpu=1.9, cpu_request="1", pod={"tolerations": []}),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=[
                {**node, "unschedulable": closed}
                for node, closed in zip(pool(2.0, 16.0), (False, True), strict=True)
            ],
            expect={"cpu_request": "stays: nodes"},
            why="somebody is about to take it away",
        ),
        Scenario(
            name="pod that no node it may use can take is told",
            given="a pod of 3 cores that fits; its manifest selects the pool of 2 cores as well",
            boxes=[
                Box(cpu=2.9, cpu_request="3", asks={"nodeSelector": {"pool": "a"}}),
            ],
            nodes=pools(("a", 2.0), ("b", 16.0)),
            expect={"cpu_request": "stays", "unplaced": "no node that it may use has so much cpu"},
            why="where it dies it does not come back",
        ),
        Scenario(
            name="node that is added is no larger than those of its pool",
            given="a selector of pool a, whose nodes have 2 cores; nodes are added; uses 3 cores",
            boxes=[
                Box(cpu=2.9, cpu_request="1", asks={"nodeSelector": {"pool": "a"}}),
                Box(name="idle", workload="idle", cpu=0.01, cpu_request="20m"),
            ],
            policy={"new_nodes": True},
            nodes=pools(("a", 2.0), ("b", 16.0)),
            expect={"cpu_request": "stays: nodes"},
            why="the pod would wait for a node that its pool never gets",
        ),
        Scenario(
            name="overhead of a runtime counts on the node",
            given="one node of 2 cores; 1500m fit, with 600m of the runtime they do not",
            boxes=[Box(cpu=1.4, pod={"overhead_cpu_cores": 0.6})],
            nodes=nodes(2.0),
            expect={"cpu_request": "stays: nodes"},
            why="the scheduler adds it to what containers request",
        ),
        Scenario(
            name="what a pod declares as a whole counts on the node",
            given="one node of 2 cores, 1500m of which another pod declares as a whole",
            boxes=[
                Box(cpu=0.9),
                Box(
                    cpu=0.5,
                    cpu_request=None,
                    memory_request=None,
                    memory_limit=None,
                    name="whole",
                    workload="whole",
                    more={"pod_cpu_request_cores": 1.5, "pod_memory_request_bytes": 2.0**30},
                ),
            ],
            nodes=nodes(2.0),
            expect={"cpu_request": "stays: nodes"},
            why="its containers declare nothing, and yet the room is taken",
        ),
        Scenario(
            name="start that asks for more than the app counts on the node",
            given="one node of 2 cores; an init container of 1500m beside an app of 100m",
            boxes=[
                Box(cpu=0.9),
                Box(cpu=0.09, cpu_request="100m", name="main", workload="slow"),
                Box(cpu=1.4, cpu_request="1500m", name="prepare", workload="slow", type="init"),
            ],
            nodes=nodes(2.0),
            expect={"cpu_request": "stays: nodes"},
            why="a pod asks for the largest of its starts",
        ),
    ),
    "Nodes: how often they run short": (
        Scenario(
            name="requests keep nodes from running short together",
            given="two that use 2.5 cores in the same hour, else 100m; nodes of 4 cores",
            boxes=[
                Box(cpu=peaks(0.1, 2.5), cpu_request="200m"),
                Box(cpu=peaks(0.1, 2.5), cpu_request="200m", name="other", workload="other"),
            ],
            policy={"node_risk": 0.001, "busy_hour_floor": 0.0},
            nodes=nodes(4.0, 4.0),
            expect={"cpu_request": "rises: node risk", "other cpu_request": ">= 2"},
            why="the scheduler puts both on one node as long as their requests fit it",
        ),
        Scenario(
            name="nodes that run short seldom enough change nothing",
            given="the same two, and one part in twenty of node-time may be short",
            boxes=[
                Box(cpu=peaks(0.1, 2.5), cpu_request="200m"),
                Box(cpu=peaks(0.1, 2.5), cpu_request="200m", name="other", workload="other"),
            ],
            policy={"node_risk": 0.05, "busy_hour_floor": 0.0},
            nodes=nodes(4.0, 4.0),
            expect={"cpu_request": "<= 1"},
            why="an hour a day is 4 % of the time",
        ),
    ),
    "Nodes: one of them lost": (
        Scenario(
            name="raise that would not survive the loss of a node is not made",
            given="two nodes of 2 cores, 1 core taken on each; a raise to 1500m fits",
            boxes=[
                Box(cpu=1.4, cpu_request="1"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            policy={"spare_nodes": 1},
            nodes=nodes(2.0, 2.0),
            expect={"cpu_request": "stays: spare"},
            why="with either node gone, both do not fit the other",
        ),
        Scenario(
            name="raise that leaves room for the loss of a node is made",
            given="three nodes of 2 cores, 1 core taken on two; a raise to 1500m",
            boxes=[
                Box(cpu=1.4, cpu_request="1"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            policy={"spare_nodes": 1},
            nodes=nodes(2.0, 2.0, 2.0),
            expect={"cpu_request": ">= 1400m"},
            why="the empty node takes the pods of either",
        ),
        Scenario(
            name="two nodes to be lost ask for more than one",
            given="three nodes of 2 cores, 1 core taken on two; a raise to 1500m",
            boxes=[
                Box(cpu=1.4, cpu_request="1"),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            policy={"spare_nodes": 2},
            nodes=nodes(2.0, 2.0, 2.0),
            expect={"cpu_request": "stays: spare"},
            why="both would have to fit the one that is left",
        ),
        Scenario(
            name="what others give back makes room for the loss of a node",
            given="two nodes of 2 cores; one wants 1500m, the other gives back a core",
            boxes=[
                Box(cpu=1.4, cpu_request="500m"),
                Box(cpu=0.1, cpu_request="1500m", name="other", workload="other"),
            ],
            policy={"spare_nodes": 1},
            nodes=nodes(2.0, 2.0),
            expect={"cpu_request": ">= 1400m", "other cpu_request": "falls"},
            why="together they fit one node",
        ),
        Scenario(
            name="only node cannot be lost, so that nothing is held for it",
            given="one node of 2 cores with room for a raise to 1500m",
            boxes=[Box(cpu=1.4, cpu_request="500m")],
            policy={"spare_nodes": 1},
            nodes=nodes(2.0),
            expect={"cpu_request": ">= 1400m"},
            why="no raise makes its loss worse",
        ),
    ),
    "Nodes that come and go": (
        Scenario(
            name="node that an autoscaler took away can come again",
            given="one node of 2 cores is full; its pool had two for a third of the window",
            boxes=[
                Box(cpu=1.5),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=pool(2.0),
            past_nodes=lived(pool(2.0, 2.0)[1], 3, 10),
            expect={"cpu_request": ">= 1500m"},
            why="the last moment is the quietest of the week",
        ),
        Scenario(
            name="node that an upgrade had for an hour does not count",
            given="one node of 2 cores is full; an hour long there was another, as at an upgrade",
            boxes=[
                Box(cpu=1.5),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=pool(2.0),
            past_nodes=lived(pool(2.0, 2.0)[1], 3, 3.05),
            expect={"cpu_request": "stays: nodes"},
            why="it will not be there when the pod is",
        ),
        Scenario(
            name="node of another pool does not come for a pod of this one",
            given="one node of 2 cores is full; another pool had a second node for a week",
            boxes=[
                Box(cpu=1.5),
                Box(cpu=0.95, cpu_request="1", name="other", workload="other"),
            ],
            nodes=pool(2.0),
            past_nodes=lived({**nodes(2.0, 2.0)[1], "labels": {"agentpool": "two"}}, 3, 10),
            expect={"cpu_request": "stays: nodes"},
            why="its pods have never run there",
        ),
    ),
    "Whose raise comes first": (
        Scenario(
            name="raise of a critical class comes first",
            given="one node of 2 cores, 800m to spare; the large raise has a high class",
            boxes=[
                Box(cpu=1.2, cpu_request="600m", name="large", workload="large", pod=VITAL),
                Box(cpu=0.9, cpu_request="600m", name="little", workload="little"),
            ],
            nodes=nodes(2.0),
            classes={"vital": 1000},
            expect={"large cpu_request": ">= 1200m", "little cpu_request": "stays: nodes"},
            why="the scheduler would put others off the node for it",
        ),
        Scenario(
            name="priority of the policy comes before the class",
            given="one node of 2 cores, 800m to spare; one has a class, the other a priority of 1",
            boxes=[
                Box(cpu=1.2, cpu_request="600m", name="large", workload="large", pod=VITAL),
                Box(
                    cpu=0.9,
                    cpu_request="600m",
                    name="little",
                    workload="little",
                    more={"annotations": '{"rightsize_io_priority": "1"}'},
                ),
            ],
            nodes=nodes(2.0),
            classes={"vital": 1000},
            expect={"large cpu_request": "stays: nodes", "little cpu_request": ">= 900m"},
            why="whoever sets it has said so for this",
        ),
        Scenario(
            name="class of an unknown value counts for nothing and is named",
            given="one node of 2 cores, 800m to spare; the value of one class is untold",
            boxes=[
                Box(cpu=1.2, cpu_request="600m", name="large", workload="large", pod=VITAL),
                Box(cpu=0.9, cpu_request="600m", name="little", workload="little"),
            ],
            nodes=nodes(2.0),
            expect={
                "large cpu_request": "stays: nodes",
                "little cpu_request": ">= 900m",
                "note": "PriorityClass vital is not told",
            },
            why="a name says nothing of its rank",
        ),
        Scenario(
            name="class of the system is known by its name",
            given="one node of 2 cores, 800m to spare; the large raise is system-cluster-critical",
            boxes=[
                Box(
                    cpu=1.2,
                    cpu_request="600m",
                    name="large",
                    workload="large",
                    pod={"priority_class": "system-cluster-critical"},
                ),
                Box(cpu=0.9, cpu_request="600m", name="little", workload="little"),
            ],
            nodes=nodes(2.0),
            expect={"large cpu_request": ">= 1200m", "little cpu_request": "stays: nodes"},
            why="every cluster has it",
        ),
        Scenario(
            name="quota goes to the critical class first",
            given="two want 700m more each, one has a high class; there is room for one",
            boxes=[
                Box(cpu=0.9, cpu_request="200m", name="calm", workload="calm"),
                Box(cpu=0.9, cpu_request="200m", name="vital", workload="vital", pod=VITAL),
            ],
            classes={"vital": 1000},
            quota={"requests.cpu": (1.4, 0.4)},
            expect={"calm cpu_request": "stays: quota", "vital cpu_request": "rises"},
            why="what matters more gets what there is",
        ),
        Scenario(
            name="budget that allows no disruption is named",
            given="a PodDisruptionBudget by the pods' labels allows none; a change restarts them",
            boxes=[Box(asks={})],
            budgets=[
                {
                    "name": "one",
                    "allowed": 0,
                    "expected": 1,
                    "healthy": 1,
                    "wanted": 1,
                    "selector": {"matchLabels": {"app": "web"}},
                }
            ],
            expect={"cpu_request": "falls", "note": "PodDisruptionBudget one allows no disruption"},
            why="a rollout does not ask it, and whoever drains the node waits",
        ),
        Scenario(
            name="budget whose pods are not exported is known by its name",
            given="the metrics tell of a PodDisruptionBudget web that allows none",
            boxes=[Box()],
            budgets=[{"name": "web", "allowed": 0, "expected": 1}],
            expect={"cpu_request": "falls", "note": "web \\(by its name\\) allows no disruption"},
            why="kube-state-metrics tells no selector",
        ),
    ),
    "Quality of service": (
        Scenario(
            name="pod that gets its first requests leaves BestEffort",
            given="uses 100m and 200Mi, nothing declared",
            boxes=[Box(cpu_request=None, memory_request=None, memory_limit=None)],
            expect={
                "cpu_request": "declared",
                "note": "from the QoS class BestEffort to Burstable",
            },
            why="it is no longer the first to be evicted",
        ),
        Scenario(
            name="pod that loses its CPU limit leaves Guaranteed",
            given="requests equal to limits in every container",
            boxes=[Box(cpu_limit="500m", memory_request="1Gi", memory_limit="1Gi")],
            expect={
                "cpu_limit": "removed",
                "note": "leaves the Guaranteed QoS class for Burstable",
            },
            why="some rely on it: pinned CPUs, or being evicted last",
        ),
    ),
    "Kinds of workloads": (
        Scenario(
            name="CronJob is sized by its runs",
            given="runs two hours a day at 800m, 1500Mi; 2 cores, 2Gi",
            boxes=[
                Box(
                    cpu=0.8,
                    memory=1500,
                    cpu_request="2",
                    memory_request="2Gi",
                    memory_limit="4Gi",
                    kind="CronJob",
                    starts=False,
                    runs=2,
                )
            ],
            expect={"cpu_request": "falls", "memory_request": ">= 1500Mi"},
            why="between runs there is nothing to size",
        ),
        Scenario(
            name="Rollout is sized like a Deployment",
            given="an Argo Rollout that uses 100m of 500m",
            boxes=[Box(kind="Rollout")],
            expect={"cpu_request": "falls"},
            why="its pod template is one",
        ),
        Scenario(
            name="stranger's kind is still judged",
            given="a CloneSet that uses 100m of 500m",
            boxes=[Box(kind="CloneSet")],
            expect={"cpu_request": "falls"},
            why="usage is usage; only the patch is left to a person",
        ),
        Scenario(
            name="init container is judged on its own",
            given="an init container of 1 core beside an app that fits",
            boxes=[
                Box(cpu=0.46, memory=930),
                Box(cpu=0.9, memory=100, cpu_request="1", name="migrate", type="init"),
            ],
            expect={"cpu_request": "stays", "migrate cpu_request": "stays"},
            why="it runs before the others and takes nothing from them",
        ),
        Scenario(
            name="few runs lower nothing",
            given="a Job that ran once, at 800m of 2 cores",
            boxes=[Box(cpu=0.8, cpu_request="2", kind="Job", workload="load-2026")],
            expect={"cpu_request": "stays: few days"},
            why="one run says little of the next, however long it took",
        ),
        Scenario(
            name="bare ReplicaSet is sized like a Deployment",
            given="a ReplicaSet that uses 100m of 500m",
            boxes=[Box(kind="ReplicaSet")],
            expect={"cpu_request": "falls"},
            why="its pod template is one",
        ),
        Scenario(
            name="operator's database is only raised",
            given="a Cluster of CloudNativePG that uses 900Mi of 512Mi and 100m of 500m",
            boxes=[Box(kind="Cluster", memory=900, memory_request="512Mi")],
            protect=["databases"],
            expect={"cpu_request": "stays: direction", "memory_request": "rises"},
            why="one line of settings protects databases of any kind",
        ),
    ),
    "Little or odd history": (
        Scenario(
            name="one day lowers nothing",
            given="a day of usage, 100m of 500m",
            boxes=[Box(days=1)],
            expect={"cpu_request": "stays: few days", "memory_request": "stays"},
            why="a week has a weekend",
        ),
        Scenario(
            name="one day raises what is short",
            given="a day of usage, 900m of 200m",
            boxes=[Box(days=1, cpu=0.9, cpu_request="200m")],
            expect={"cpu_request": "rises"},
            why="what is short today is short",
        ),
        Scenario(
            name="handful of samples is no ground",
            given="two hours of usage",
            boxes=[Box(days=1 / 12)],
            expect={"skipped": "samples were seen"},
            why="nothing can be learnt of it",
        ),
        Scenario(
            name="four days are enough to lower",
            given="four days of usage, 100m of 500m",
            boxes=[Box(days=4)],
            expect={"cpu_request": "falls"},
            why="three are asked for, and margins are wider",
        ),
        Scenario(
            name="counter that stands still is not believed",
            given="no CPU at all in three weeks, 500m requested; 200Mi of memory",
            boxes=[Box(cpu=0.0)],
            expect={"cpu_request": "stays: unknown", "memory_request": "falls"},
            why="what holds memory was started, and a start takes time of a CPU",
        ),
    ),
    "Policy": (
        Scenario(
            name="raise only never lowers",
            given="uses 100m of 500m and 900Mi of 512Mi",
            boxes=[Box(memory=900, memory_request="512Mi")],
            policy={"direction": "raise"},
            expect={"cpu_request": "stays: direction", "memory_request": "rises"},
            why="for what must not fail",
        ),
        Scenario(
            name="lower only never raises",
            given="uses 900m of 200m and 200Mi of 1Gi",
            boxes=[Box(cpu=0.9, cpu_request="200m")],
            policy={"direction": "lower"},
            expect={"cpu_request": "stays: direction", "memory_request": "falls"},
            why="for savings alone",
        ),
        Scenario(
            name="switched off is left alone",
            given="uses 100m of 500m",
            boxes=[Box()],
            policy={"direction": "off"},
            expect={"skipped": "switches it off"},
            why="the policy says so",
        ),
        Scenario(
            name="annotation wins over the file",
            given="rightsize.io/direction: raise on the workload; uses 100m of 500m",
            boxes=[Box(more={"annotations": '{"rightsize_io_direction": "raise"}'})],
            policy={"direction": "both"},
            expect={"cpu_request": "stays: direction"},
            why="its owner knows best",
        ),
        Scenario(
            name="annotation that cannot be read stops only its own",
            given="rightsize.io/direction: sideways",
            boxes=[Box(more={"annotations": '{"rightsize_io_direction": "sideways"}'})],
            expect={"skipped": "annotation"},
            why="nothing is guessed",
        ),
        Scenario(
            name="floor of the policy holds whatever keeps",
            given="uses 460m of 500m, floor 1 core",
            boxes=[Box(cpu=0.46)],
            policy={"cpu_floor": "1"},
            expect={"cpu_request": "1: floor"},
            why="no other step undoes it",
        ),
        Scenario(
            name="ceiling of the policy holds",
            given="uses 3 cores of 500m, ceiling 2",
            boxes=[Box(cpu=3.0)],
            policy={"cpu_ceiling": "2"},
            expect={"cpu_request": "2: ceiling"},
            why="the policy says so",
        ),
        Scenario(
            name="ceiling kills nobody",
            given="uses 1500Mi, limit 4Gi, ceiling 1Gi",
            boxes=[Box(memory=1500, memory_request="2Gi", memory_limit="4Gi")],
            policy={"memory_ceiling": "1Gi"},
            expect={"memory_request": "1Gi: ceiling", "memory_limit": ">= 1800Mi"},
            why="a limit below what is used would kill it",
        ),
        Scenario(
            name="steps down are short on demand",
            given="uses 100m of 2 cores, at most a quarter less a run",
            boxes=[Box(cpu_request="2")],
            policy={"max_decrease": 0.25},
            expect={"cpu_request": "1500m: gradual"},
            why="three quarters of 2 cores",
        ),
        Scenario(
            name="databases are only raised",
            given="a StatefulSet named orders-postgres that uses 100m of 500m",
            boxes=[Box(kind="StatefulSet", workload="orders-postgres")],
            protect=["databases"],
            expect={"cpu_request": "stays: direction", "memory_request": "stays"},
            why="one line of settings protects them",
        ),
        Scenario(
            name="stateful workloads are only raised",
            given="a StatefulSet that uses 900Mi of 512Mi",
            boxes=[Box(kind="StatefulSet", memory=900, memory_request="512Mi")],
            protect=["stateful"],
            expect={"cpu_request": "stays: direction", "memory_request": "rises"},
            why="protected from less, not from more",
        ),
        Scenario(
            name="careful takes small steps",
            given="the settings of the preset careful; uses 100m of 500m",
            boxes=[Box()],
            policy=PRESETS["careful"],
            expect={"cpu_request": "350m: gradual"},
            why="at most three tenths less a run",
        ),
        Scenario(
            name="lean takes narrow margins",
            given="the settings of the preset lean; uses 100m of 500m",
            boxes=[Box()],
            policy=PRESETS["lean"],
            expect={"cpu_request": "<= 125m"},
            why="a tenth of the time above the request is allowed",
        ),
        Scenario(
            name="small change is what the policy calls small",
            given="uses 300m of 500m; less than half is not worth it",
            boxes=[Box(cpu=0.3, memory=900)],
            policy={"min_change": 0.5},
            expect={"cpu_request": "stays: small"},
            why="the policy says what a restart is worth",
        ),
        Scenario(
            name="kept memory limit bounds its request",
            given="uses 1900Mi of a limit of 2Gi that is kept, 512Mi requested",
            boxes=[Box(memory=1900, memory_request="512Mi")],
            policy={"memory_limit": "keep"},
            expect={"memory_request": "<= 2Gi", "memory_limit": "stays: keep"},
            why="no request above its limit",
        ),
        Scenario(
            name="guaranteed pod is raised in both",
            given="request and limit of 512Mi, killed at it; the class is to be kept",
            boxes=[
                Box(
                    memory=peaks(200, 505),
                    cpu_limit="500m",
                    memory_request="512Mi",
                    memory_limit="512Mi",
                    kills=[(17.02, "512Mi")],
                )
            ],
            policy={"keep_qos": True},
            expect={"memory_limit": "rises", "memory_request": "rises: qos"},
            why="request and limit move as one",
        ),
    ),
    "Runtimes": (
        Scenario(
            name="heap keeps its limit",
            given="-Xmx1g in its arguments; uses 300Mi of a limit of 2Gi",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"args": ["java", "-Xmx1g", "-jar", "app.jar"]},
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least", "memory_request": ">= 1Gi: at least"},
            why="the heap fills up one day, and needs a quarter on top",
        ),
        Scenario(
            name="heap in a variable counts as well",
            given="JAVA_OPTS with -Xmx1g",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"env": [{"name": "JAVA_OPTS", "value": "-Xms256m -Xmx1g"}]},
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="wherever the flag stands",
        ),
        Scenario(
            name="heap that follows the limit keeps the limit",
            given="-XX:MaxRAMPercentage=75; uses 300Mi of a limit of 2Gi",
            boxes=[Box(memory=300, settings={"args": ["-XX:MaxRAMPercentage=75.0"]})],
            expect={"memory_limit": "stays: at least"},
            why="a lower limit is a smaller heap",
        ),
        Scenario(
            name="Node heap keeps its limit",
            given="--max-old-space-size=1024",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"command": ["node", "--max-old-space-size=1024", "main.js"]},
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="its heap grows to that before it collects",
        ),
        Scenario(
            name="buffer pool keeps its limit",
            given="shared_buffers=1GB of PostgreSQL",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"args": ["postgres", "-c", "shared_buffers=1GB"]},
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="pages stay there once they are read",
        ),
        Scenario(
            name="maxmemory keeps its limit",
            given="redis-server --maxmemory 1gb",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"args": ["redis-server", "--maxmemory", "1gb"]},
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="keys fill it up before any is evicted",
        ),
        Scenario(
            name="Go's memory limit keeps its limit",
            given="GOMEMLIMIT=1GiB",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"env": [{"name": "GOMEMLIMIT", "value": "1GiB"}]},
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="the collector lets it grow to that",
        ),
        Scenario(
            name="Go's memory limit is lowered with the limit",
            given="GOMEMLIMIT=1536MiB under a limit of 2Gi; uses 300Mi; both are to move together",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"env": [{"name": "GOMEMLIMIT", "value": "1536MiB"}]},
                )
            ],
            policy={"runtime_settings": "together"},
            expect={
                "memory_limit": "falls: at least",
                "memory_request": "falls",
                "with it": "GOMEMLIMIT 1536MiB ->",
            },
            why="the setting to what usage alone asks for, and beside it room for all ever used",
        ),
        Scenario(
            name="Java heap is lowered with the limit",
            given="-Xmx3g under a limit of 4Gi; uses 400Mi; both are to move together",
            boxes=[
                Box(
                    memory=400,
                    memory_request="4Gi",
                    memory_limit="4Gi",
                    settings={"args": ["java", "-Xmx3g", "-jar", "app.jar"]},
                )
            ],
            policy={"runtime_settings": "together"},
            expect={"memory_limit": "falls: at least", "with it": "-Xmx 3g ->"},
            why="the heap never took more; metaspace and threads keep room however full it is",
        ),
        Scenario(
            name="full heap is not lowered",
            given="--max-old-space-size=1024 under 2Gi; uses 1100Mi; both are to move together",
            boxes=[
                Box(
                    memory=1100,
                    settings={"args": ["node", "--max-old-space-size=1024", "main.js"]},
                )
            ],
            policy={"runtime_settings": "together"},
            expect={"memory_limit": ">= 1280Mi", "with it": "nothing"},
            why="what was used may all be heap",
        ),
        Scenario(
            name="heap that begins larger stays",
            given="-Xms1g -Xmx3g under 4Gi; uses 400Mi; both are to move together",
            boxes=[
                Box(
                    memory=400,
                    memory_request="4Gi",
                    memory_limit="4Gi",
                    settings={"env": [{"name": "JAVA_OPTS", "value": "-Xms1g -Xmx3g"}]},
                )
            ],
            policy={"runtime_settings": "together"},
            expect={"memory_limit": ">= 3840Mi: at least", "with it": "nothing"},
            why="a JVM does not start with an -Xms above its -Xmx",
        ),
        Scenario(
            name="setting of a killed container stays",
            given="GOMEMLIMIT=1536MiB, killed once at 2Gi; both are to move together",
            boxes=[
                Box(
                    memory=300,
                    kills=[(10, "2Gi")],
                    settings={"env": [{"name": "GOMEMLIMIT", "value": "1536MiB"}]},
                )
            ],
            policy={"runtime_settings": "together"},
            expect={"memory_limit": ">= 1920Mi", "with it": "nothing"},
            why="what it needs was not seen",
        ),
        Scenario(
            name="heap larger than the limit asks for no more",
            given="-Xmx4g under a limit of 2Gi; uses 300Mi",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"args": ["java", "-Xmx4g", "-jar", "app.jar"]},
                )
            ],
            expect={"memory_limit": "stays: at least"},
            why="nothing is raised for what was never used, nor lowered",
        ),
        Scenario(
            name=".NET heap keeps its limit",
            given="DOTNET_GCHeapHardLimit=0x40000000",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"env": [{"name": "DOTNET_GCHeapHardLimit", "value": "0x40000000"}]},
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="1Gi, written in base 16",
        ),
        Scenario(
            name="WiredTiger cache keeps its limit",
            given="mongod --wiredTigerCacheSizeGB 1",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"args": ["mongod", "--wiredTigerCacheSizeGB", "1"]},
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="pages stay there once they are read",
        ),
        Scenario(
            name="watermark of a broker keeps its limit",
            given="RabbitMQ with vm_memory_high_watermark.absolute = 1GB",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={
                        "env": [
                            {
                                "name": "RABBITMQ_CONFIG",
                                "value": "vm_memory_high_watermark.absolute = 1GB",
                            }
                        ]
                    },
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="it takes messages until then",
        ),
        Scenario(
            name="InnoDB buffer pool keeps its limit",
            given="mysqld --innodb-buffer-pool-size=1G",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"args": ["--innodb-buffer-pool-size=1G"]},
                )
            ],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="pages stay there once they are read",
        ),
        Scenario(
            name="heap of Kafka and Elasticsearch counts as any other",
            given="KAFKA_HEAP_OPTS and ES_JAVA_OPTS with -Xmx1g",
            boxes=[
                Box(
                    memory=300,
                    memory_request="2Gi",
                    settings={"env": [{"name": "KAFKA_HEAP_OPTS", "value": "-Xms1g -Xmx1g"}]},
                ),
                Box(
                    memory=300,
                    memory_request="2Gi",
                    name="search",
                    workload="search",
                    settings={"env": [{"name": "ES_JAVA_OPTS", "value": "-Xms1g -Xmx1g"}]},
                ),
            ],
            expect={
                "memory_limit": ">= 1280Mi: at least",
                "search memory_limit": ">= 1280Mi: at least",
            },
            why="the flag is one of every JVM",
        ),
        Scenario(
            name="Dragonfly's maxmemory keeps its limit",
            given="dragonfly --maxmemory=1gb",
            boxes=[Box(memory=300, memory_request="2Gi", settings={"args": ["--maxmemory=1gb"]})],
            expect={"memory_limit": ">= 1280Mi: at least"},
            why="keys fill it up before any is evicted",
        ),
    ),
    **COMBINED,
    **FURTHER,
}

ALL = [scenario for group in SCENARIOS.values() for scenario in group]
