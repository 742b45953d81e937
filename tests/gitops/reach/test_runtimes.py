"""Memory that a container's own settings speak for."""

from __future__ import annotations

import pytest

from analyzer.gitops.index.repository_index import index_repository
from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited
from analyzer.gitops.reach.runtimes import Floor, memory_floors
from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant

MI, GI = 2**20, 2**30


def sizes(settings: object) -> dict[str, int | None]:
    return {f.what: None if f.size is None else f.size.bytes for f in memory_floors(settings)}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"args": ["java", "-Xms512m", "-Xmx2g", "-jar", "x"]}, {"its Java heap": 2 * GI}),
        ({"env": {"JAVA_OPTS": "-Xmx1024M -Dx=y"}}, {"its Java heap": GI}),
        ({"env": {"JVM_MAX_HEAP_SIZE": "1024M"}}, {"its Java heap": GI}),
        ({"env": {"JVM_MAX_HEAP_SIZE": {"value": "1024M"}}}, {"its Java heap": GI}),
        ({"env": [{"name": "ES_JAVA_OPTS", "value": "-Xmx512m"}]}, {"its Java heap": 512 * MI}),
        ({"env": {"JAVA_OPTS": "-Xmx512m -Dx=y -Xmx2g"}}, {"its Java heap": 2 * GI}),
        ({"jvmOptions": {"-Xmx": "3g"}}, {"its Java heap": 3 * GI}),
        ({"javaOpts": "-XX:MaxHeapSize=268435456"}, {"its Java heap": 256 * MI}),
        ({"env": {"NODE_OPTIONS": "--max-old-space-size=1536"}}, {"its Node.js heap": 1536 * MI}),
        ({"command": ["node", "--max_old_space_size=64", "x"]}, {"its Node.js heap": 64 * MI}),
        (
            {"postgresql": {"parameters": {"shared_buffers": "512MB", "max_connections": "100"}}},
            {"its shared_buffers": 512 * MI},
        ),
        ({"args": ["-c", "shared_buffers=128MB"]}, {"its shared_buffers": 128 * MI}),
        ({"parameters": {"shared_buffers": "65536"}}, {"its shared_buffers": 512 * MI}),
        ({"args": ["--innodb-buffer-pool-size=1G"]}, {"its InnoDB buffer pool": GI}),
        ({"args": ["--maxmemory", "450mb"]}, {"its maxmemory": 450 * MI}),
        ({"args": ["--maxmemory=2Gi"]}, {"its maxmemory": 2 * GI}),
        (
            {"config": "save ''\nmaxmemory 450mb\nmaxmemory-policy lru\n"},
            {"its maxmemory": 450 * MI},
        ),
        (
            {"args": ["mongod", "--wiredTigerCacheSizeGB", "0.25"]},
            {"its WiredTiger cache": 256 * MI},
        ),
        ({"config": "storage:\n  cacheSizeGB: 2\n"}, {"its WiredTiger cache": 2 * GI}),
        (
            {"config": "vm_memory_high_watermark.absolute = 2GB"},
            {"its memory watermark": 2 * GI},
        ),
        (
            {"config": "vm_memory_high_watermark.relative = 0.4"},
            {"its memory watermark is a share of the limit": None},
        ),
        (
            {"env": {"RABBITMQ_VM_MEMORY_HIGH_WATERMARK": "0.6"}},
            {"its memory watermark is a share of the limit": None},
        ),
        (
            {"args": ["--innodb-dedicated-server=ON"]},
            {"its InnoDB buffer pool is a share of the limit": None},
        ),
        ({"args": ["--innodb-dedicated-server=OFF"]}, {}),
        (
            {"args": ["node", "--max-old-space-size-percentage=75"]},
            {"its Node.js heap is a share of the limit": None},
        ),
        ({"env": {"DOTNET_GCHeapHardLimit": "C800000"}}, {"its .NET heap": 200 * MI}),
        ({"env": {"COMPlus_GCHeapHardLimit": "0xC800000"}}, {"its .NET heap": 200 * MI}),
        (
            {"env": {"DOTNET_GCHeapHardLimitPercent": "4B"}},
            {"its .NET heap is a share of the limit": None},
        ),
        (
            {"env": {"DOTNET_GCHeapHardLimitPercent": "4B", "DOTNET_GCHeapHardLimit": "C800000"}},
            {"its .NET heap": 200 * MI},
        ),
        ({"env": {"GOMEMLIMIT": "750MiB"}}, {"its GOMEMLIMIT": 750 * MI}),
        (
            {"env": {"JAVA_OPTS": "-XX:MaxRAMPercentage=75.0"}},
            {"its Java heap is a share of the limit": None},
        ),
        (
            {"env": {"JAVA_OPTS": "-XX:MaxRAMPercentage=75.0 -Xmx1g"}},
            {"its Java heap": GI},
        ),
        ({"args": ["-Xmx${HEAP}"]}, {"its Java heap is filled in elsewhere": None}),
        (
            {
                "args": ["--maxmemory=$(MAX_MEMORY)Mi"],
                "env": [
                    {
                        "name": "MAX_MEMORY",
                        "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}},
                    }
                ],
            },
            {
                "its maxmemory is filled in elsewhere": None,
                "its MAX_MEMORY is taken from the limit": None,
            },
        ),
        (
            {"env": {"CAP": {"valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}}},
            {"its CAP is taken from the limit": None},
        ),
        (
            {"env": {"CAP": {"valueFrom": {"resourceFieldRef": {"resource": "requests.memory"}}}}},
            {"its CAP is taken from the memory request": None},
        ),
        (
            {"args": ["-Xmx1g", "-XX:MaxDirectMemorySize=512m"]},
            {
                "its Java heap": GI,
                "its direct memory": 512 * MI,
                "its Java heap and direct memory": GI + 512 * MI,
            },
        ),
        (
            {
                "env": {
                    "NEO4J_server_memory_heap_max__size": "1G",
                    "NEO4J_server_memory_pagecache_size": "512M",
                }
            },
            {
                "its Java heap": GI,
                "its page cache": 512 * MI,
                "its Java heap and page cache": GI + 512 * MI,
            },
        ),
        ({"env": {"SOLR_HEAP": "1g"}}, {"its Java heap": GI}),
        ({"env": {"SPARK_DAEMON_MEMORY": "1g"}}, {"its Java heap": GI}),
        ({"args": ["--shared-buffers=1GB"]}, {"its shared_buffers": GI}),
        ({"args": ["memcached", "-m", "512"]}, {"its item memory": 512 * MI}),
        ({"image": "docker.io/memcached:1.6", "args": ["-m 512"]}, {"its item memory": 512 * MI}),
        ({"args": ["-memory.allowedBytes=1GiB"]}, {"its caches": GI}),
        (
            {"extraArgs": {"memory.allowedPercent": 40}},
            {"its caches are a share of the limit": None},
        ),
        (
            {"config.xml": "<max_server_memory_usage>1073741824</max_server_memory_usage>"},
            {"its server memory": GI},
        ),
        ({"env": {"MSSQL_MEMORY_LIMIT_MB": "512"}}, {"its server memory": 512 * MI}),
    ],
)
def test_sizes_are_read_as_the_programs_read_them(
    settings: object, found: dict[str, int | None]
) -> None:
    """Each program's spelling and default unit; what follows from the limit has no size."""
    assert sizes(settings) == found


@pytest.mark.parametrize(
    "settings",
    [
        None,
        {},
        "no mapping",
        {"args": ["--maxmemory-policy", "allkeys-lru", "--maxmemory-samples", "5"]},
        {"args": ["--maxmemory=0"]},
        {"env": {"GOMEMLIMIT": "off", "HEAP": "words", "MAXMEMORY_POLICY": "x"}},
        {"args": ["gunicorn", "-m", "512"], "env": {"CACHE": "memcached:11211"}},
        {"image": "prom/memcached-exporter", "args": ["-m", "512"]},
        {
            "name": "app",
            "env": {
                "CAP": {
                    "valueFrom": {
                        "resourceFieldRef": {"containerName": "db", "resource": "limits.memory"}
                    }
                }
            },
        },
        {"resources": {"limits": {"memory": "-Xmx2g"}}},
        {"sidecar": {"resources": {}, "env": {"JAVA_OPTS": "-Xmx8g"}}},
        {"args": ["-Xmx2gigabytes", "-Xmxen"]},
        {"env": {"X": True, "Y": 1.5, "Z": None}},
    ],
)
def test_other_settings_say_nothing(settings: object) -> None:
    """Neighbours with resources of their own, look-alikes and Go's soft limit are no floors."""
    assert memory_floors(settings) == ()


@pytest.mark.parametrize(
    ("name", "resource", "of"),
    [
        ("GOMEMLIMIT", "limits.memory", "memory_limit"),
        ("GOMAXPROCS", "limits.cpu", "cpu_limit"),
        ("GOMAXPROCS", "requests.cpu", "cpu_request"),
    ],
)
def test_what_may_follow_an_amount_downwards_holds_none_up(
    name: str, resource: str, of: str
) -> None:
    """Go collects earlier and runs fewer threads; without the amount it takes the node's."""
    settings = {"env": [{"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource}}}]}
    (floor,) = memory_floors(settings)
    assert (floor.of, floor.lowers) == (of, True)
    assert floor.least_limit(memory("2Gi")) is floor.least_request(memory("1Gi")) is None
    assert "what the node has" in floor.reason


def memory(text: str) -> Memory:
    return Memory.parse(text)


def test_a_limit_leaves_room_beside_the_heap_and_a_request_covers_it() -> None:
    """1 GiB of heap asks for 1280 MiB of limit, a quarter on top, and for 1 GiB of request."""
    heap = Floor("its Java heap", memory("1Gi"))
    assert heap.least_request(memory("4Gi")) == memory("1Gi")
    assert heap.least_limit(memory("4Gi")) == memory("1280Mi")
    assert heap.least_limit(None) == memory("1280Mi")
    assert "its Java heap is 1Gi" in heap.reason


def test_what_is_below_its_floor_already_is_not_lowered_further() -> None:
    """Nothing is raised above what is in force: no usage speaks for that."""
    heap = Floor("its Java heap", memory("2Gi"))
    assert heap.least_request(memory("512Mi")) == memory("512Mi")
    assert heap.least_limit(memory("1Gi")) == memory("1Gi")


def test_a_size_that_follows_from_the_limit_holds_the_limit_alone() -> None:
    """A share of the limit speaks for the limit; the request follows what was used."""
    share = Floor("its Java heap is a share of the limit")
    assert share.least_request(memory("2Gi")) is None
    assert share.least_limit(memory("2Gi")) == memory("2Gi")


POSTGRES = """
    apiVersion: postgresql.cnpg.io/v1
    kind: Cluster
    metadata: {name: pg, namespace: db}
    spec:
      postgresql: {parameters: {shared_buffers: 1GB}}
      resources:
        requests:
          memory: 2Gi
        limits:
          memory: 4Gi
    """


def desired(
    kind: str, workload: str, container: str, namespace: str, now: str = "4Gi", **new: str
) -> DesiredChange:
    amounts = {name: memory(text) for name, text in new.items()}
    return DesiredChange(
        ContainerRef("c", namespace, kind, workload, container),
        Resources(memory_request=memory("2Gi"), memory_limit=memory(now)),
        Resources(memory_request=amounts.get("request"), memory_limit=amounts.get("limit")),
    )


def refused(plan: ChangePlan) -> str:
    """Why the only change of a plan is left to a person."""
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Advice), outcome
    return outcome.reason


def test_a_database_keeps_its_shared_buffers(plant: Plant) -> None:
    """What was decided without knowing of them is not written below them."""
    root = plant({"pg.yaml": POSTGRES})
    low = desired("Cluster", "pg", "postgres", "db", request="300Mi", limit="3Gi")
    assert "its shared_buffers is 1Gi" in refused(plan_changes(root, [low]))
    fine = desired("Cluster", "pg", "postgres", "db", request="1Gi", limit="1280Mi")
    assert isinstance(plan_changes(root, [fine]).outcomes[0], Edited)


def test_a_cache_that_sizes_itself_by_its_limit_keeps_it(plant: Plant) -> None:
    """Dragonfly takes its maxmemory from the limit where none is set, so the limit stays."""
    text = POSTGRES.replace("postgresql.cnpg.io/v1", "dragonflydb.io/v1alpha1")
    text = text.replace("kind: Cluster", "kind: Dragonfly").replace("shared_buffers", "other")
    root = plant({"dragonfly.yaml": text})
    change = desired("StatefulSet", "pg", "dragonfly", "db", limit="700Mi")
    assert "maxmemory" in refused(plan_changes(root, [change]))


def test_a_release_keeps_the_heap_that_its_values_state(plant: Plant, flux: dict[str, str]) -> None:
    """In app-template values the environment of the container stands beside its resources."""
    name = "kubernetes/apps/media/sonarr/app/helmrelease.yaml"
    flux[name] = flux[name].replace(
        "                    resources:\n",
        "                    env: {JAVA_OPTS: -Xmx1g}\n                    resources:\n",
        1,
    )
    change = desired("Deployment", "sonarr", "app", "media", now="2Gi", limit="700Mi")
    assert "its Java heap is 1Gi" in refused(plan_changes(plant(flux), [change]))


def test_a_limit_below_the_heap_is_found(plant: Plant) -> None:
    """Who never filled the heap yet learns of it before the kill."""
    root = plant({"pg.yaml": POSTGRES.replace("1GB", "5GB")})
    found = [f.message for f in index_repository(root).findings if f.kind == "tight"]
    assert len(found) == 1
    assert "4Gi" in found[0]
    assert "shared_buffers" in found[0]


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 300_000,
        "--maxmemory" + " " * 300_000,
        "innodb_buffer_pool_size" + " " * 300_000 + "x",
        "shared_buffers " * 30_000,
        "-Xmx" * 100_000,
        "-Xmx" + "9" * 300_000,
        "--max-old-space-size=" + "1" * 20 + "m",
    ],
)
def test_no_text_takes_long_to_look_through(text: str) -> None:
    """Settings come from strangers; a pattern that backtracks would hang on these for hours."""
    assert memory_floors({"args": [text], "config": text}) == ()
