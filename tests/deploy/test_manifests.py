"""The weekly CronJob as a cluster would get it: built by the real kubectl, checked by schema."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from analyzer import __version__
from analyzer.cli import main
from analyzer.config import load_config
from analyzer.objects import RULES
from analyzer.sources.kubernetes import LISTED

KUBERNETES = "1.37"
BUILDS = ("base", "overlays/example")

Manifest = dict[str, Any]


@pytest.fixture(scope="module", params=BUILDS)
def manifests(request: pytest.FixtureRequest, kubectl: Path, repository: Path) -> list[Manifest]:
    """All objects of one build."""
    return build(kubectl, repository / "deploy" / request.param)


def build(kubectl: Path, folder: Path) -> list[Manifest]:
    """What `kubectl kustomize` makes of a folder."""
    done = subprocess.run(
        [kubectl, "kustomize", folder], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def only(manifests: list[Manifest], kind: str) -> Manifest:
    """The one object of a kind."""
    found = [manifest for manifest in manifests if manifest["kind"] == kind]
    assert len(found) == 1, f"expected one {kind}, found {len(found)}"
    return found[0]


def pod_of(manifests: list[Manifest]) -> Manifest:
    """The pod spec of the CronJob."""
    spec: Manifest = only(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def container_of(manifests: list[Manifest]) -> Manifest:
    """The one container of the CronJob."""
    (container,) = pod_of(manifests)["containers"]
    assert isinstance(container, dict)
    return container


def config_of(manifests: list[Manifest]) -> str:
    """The text of the settings file that the CronJob mounts."""
    text = only(manifests, "ConfigMap")["data"]["rightsize.yaml"]
    assert isinstance(text, str)
    return text


def test_every_object_fits_the_schema_of_kubernetes(manifests: list[Manifest]) -> None:
    """No unknown field, no wrong type; strict, so that a typo does not pass as an extra."""
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_a_misspelt_field_does_not_fit_the_schema(manifests: list[Manifest]) -> None:
    """The schema check can fail: it is not satisfied by anything that parses."""
    job = only(manifests, "CronJob")
    job = job | {"spec": job["spec"] | {"concurrencyPolice": "Forbid"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, KUBERNETES, strict=True)


def test_the_container_runs_a_command_line_that_parses(manifests: list[Manifest]) -> None:
    """Command and options of the CronJob are ones that this version has."""
    group = main
    assert isinstance(group, click.Group)
    name, *arguments = container_of(manifests)["args"]
    command = group.get_command(click.Context(group), name)
    assert command is not None, f"no command {name}"
    parsed = command.make_context(name, list(arguments))
    assert str(parsed.params["config_file"]) == "/etc/rightsize/rightsize.yaml"


def test_the_mounted_settings_and_variables_are_known(
    manifests: list[Manifest], tmp_path: Path
) -> None:
    """Every setting in the ConfigMap and every RIGHTSIZE_* variable reaches the configuration."""
    file = tmp_path / "rightsize.yaml"
    file.write_text(config_of(manifests), encoding="utf-8")
    variables = {entry["name"]: entry["value"] for entry in container_of(manifests).get("env", [])}
    settings = load_config(file, variables, {})
    assert settings.config.source is not None
    assert settings.config.source.startswith("prometheus:http")
    assert {f"${name}" for name in variables} <= set(settings.origins.values())


def test_results_go_below_a_writable_volume(manifests: list[Manifest], tmp_path: Path) -> None:
    """The output is a folder inside the mounted volume, never its root: it is replaced whole."""
    file = tmp_path / "rightsize.yaml"
    file.write_text(config_of(manifests), encoding="utf-8")
    output = Path(load_config(file, {}, {}).config.output)
    writable = [
        Path(mount["mountPath"])
        for mount in container_of(manifests)["volumeMounts"]
        if not mount.get("readOnly")
    ]
    assert any(path in output.parents for path in writable)


def test_every_mount_has_its_volume_and_every_volume_its_object(
    manifests: list[Manifest],
) -> None:
    """Names that belong together are the same, hashes of generated names included."""
    volumes = {volume["name"]: volume for volume in pod_of(manifests)["volumes"]}
    mounts = {mount["name"] for mount in container_of(manifests)["volumeMounts"]}
    assert mounts == set(volumes)
    config = only(manifests, "ConfigMap")["metadata"]["name"]
    claim = only(manifests, "PersistentVolumeClaim")["metadata"]["name"]
    account = only(manifests, "ServiceAccount")["metadata"]["name"]
    assert volumes["config"]["configMap"]["name"] == config
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim
    assert pod_of(manifests)["serviceAccountName"] == account


def test_the_pod_meets_the_restricted_standard(manifests: list[Manifest]) -> None:
    """Pod Security Standards, level restricted, and a read-only root beyond it."""
    pod, container = pod_of(manifests), container_of(manifests)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert not any("hostPath" in volume for volume in pod["volumes"])


def test_the_run_has_no_rights_in_the_cluster(manifests: list[Manifest]) -> None:
    """No role, no binding, and no token of the API server in the pod."""
    kinds = {manifest["kind"] for manifest in manifests}
    assert not {kind for kind in kinds if "Role" in kind}
    assert only(manifests, "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod_of(manifests)["automountServiceAccountToken"] is False


def test_runs_never_overlap_and_never_hang_forever(manifests: list[Manifest]) -> None:
    """One run at a time, with an end; its resources are declared, as we ask of others."""
    spec = only(manifests, "CronJob")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 7200
    resources = container_of(manifests)["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert "memory" in resources["limits"]


def test_a_run_that_cannot_be_mended_is_not_repeated(manifests: list[Manifest]) -> None:
    """Exit codes 2 (wrong settings) and 3 (partial) fail the job at once."""
    job = only(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["values"] == [2, 3]
    assert rule["onExitCodes"]["containerName"] == container_of(manifests)["name"]
    # Kubernetes takes a podFailurePolicy with this restart policy alone.
    assert pod_of(manifests)["restartPolicy"] == "Never"


def test_secrets_come_from_files_alone(manifests: list[Manifest]) -> None:
    """No secret is on the command line or in the environment of the container."""
    container = container_of(manifests)
    assert not any("token" in argument.lower() for argument in container["args"])
    assert all("valueFrom" not in entry for entry in container.get("env", []))
    assert not [manifest for manifest in manifests if manifest["kind"] == "Secret"]


def test_the_image_carries_the_version_of_the_package(manifests: list[Manifest]) -> None:
    """Deployed and built version are one number."""
    assert container_of(manifests)["image"].rpartition(":")[2] == __version__


def test_the_overlay_changes_what_it_says_and_nothing_else(kubectl: Path, repository: Path) -> None:
    """Schedule, zone, image and settings differ; the security of the pod is that of the base."""
    base = build(kubectl, repository / "deploy" / "base")
    example = build(kubectl, repository / "deploy" / "overlays" / "example")
    assert only(example, "CronJob")["spec"]["schedule"] == "40 3 * * 0"
    assert only(example, "CronJob")["spec"]["timeZone"] == "Europe/Berlin"
    assert container_of(example)["image"].startswith("registry.example.com/tools/rightsize:")
    assert "cluster: homelab" in config_of(example)
    assert pod_of(example)["securityContext"] == pod_of(base)["securityContext"]
    added = {manifest["kind"] for manifest in example} - {manifest["kind"] for manifest in base}
    assert added == {"Namespace", "NetworkPolicy"}


# A container daemon would be needed to build the image; what its file says is checked instead.


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, continuation lines joined, comments left out."""
    text = dockerfile.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1].strip()) for line in lines]


@pytest.fixture
def dockerfile(repository: Path) -> list[tuple[str, str]]:
    """The instructions of the image."""
    return instructions(repository / "deploy" / "Dockerfile")


def test_the_image_copies_files_that_exist_and_reach_the_build(
    dockerfile: list[tuple[str, str]], repository: Path
) -> None:
    """Each COPY names a path of the repository that the ignore file lets through."""
    ignore = (repository / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    allowed = {line.removeprefix("!") for line in ignore.splitlines() if line.startswith("!")}
    copied = {
        source
        for name, rest in dockerfile
        if name == "COPY" and "--from" not in rest
        for source in shlex.split(rest)[:-1]
    }
    assert copied == allowed
    assert [path for path in sorted(copied) if not (repository / path).exists()] == []


def test_the_image_runs_as_the_user_of_the_cronjob(
    dockerfile: list[tuple[str, str]], manifests: list[Manifest]
) -> None:
    """A number, so that runAsNonRoot can be checked, and the same in both places."""
    user = [rest for name, rest in dockerfile if name == "USER"][-1]
    context = pod_of(manifests)["securityContext"]
    assert user == f"{context['runAsUser']}:{context['runAsGroup']}"


def test_the_image_writes_only_where_the_cronjob_lets_it(
    dockerfile: list[tuple[str, str]], manifests: list[Manifest]
) -> None:
    """Home, font cache and working folder lie in writable mounts; the root is read-only."""
    environment = dict(
        word.split("=", 1) for name, rest in dockerfile if name == "ENV" for word in rest.split()
    )
    folders = [environment["HOME"], environment["MPLCONFIGDIR"]]
    folders += [rest for name, rest in dockerfile if name == "WORKDIR"][-1:]
    writable = [
        Path(mount["mountPath"])
        for mount in container_of(manifests)["volumeMounts"]
        if not mount.get("readOnly")
    ]
    for folder in map(Path, folders):
        assert any(path == folder or path in folder.parents for path in writable), folder


def test_both_stages_of_the_image_have_one_python(dockerfile: list[tuple[str, str]]) -> None:
    """A virtual environment works only with the interpreter that made it."""
    bases = {rest.split()[0] for name, rest in dockerfile if name == "FROM"}
    assert len(bases) == 1


def test_asking_the_cluster_grants_its_lists_and_no_more(
    kubectl: Path, repository: Path, tmp_path: Path
) -> None:
    """The optional component adds a token to the pod and the right to list what is asked for."""
    deploy = shutil.copytree(repository / "deploy", tmp_path / "deploy")
    overlay = deploy / "overlays" / "asking"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(
        "namespace: tools\nresources: [../../base]\ncomponents: [../../components/ask-cluster]\n"
    )
    built = build(kubectl, overlay)
    rules = only(built, "ClusterRole")["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"list"}
    asked = {kind.resource for kind in LISTED} | {of.resource for of in RULES.values()}
    assert {kind for rule in rules for kind in rule["resources"]} == asked
    (subject,) = only(built, "ClusterRoleBinding")["subjects"]
    assert (subject["name"], subject["namespace"]) == ("rightsize", "tools")
    assert pod_of(built)["automountServiceAccountToken"] is True
    names = {entry["name"]: entry["value"] for entry in container_of(built)["env"]}
    assert load_config(None, names, {}).config.kubernetes.ask is True
    for manifest in built:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def with_components(kubectl: Path, repository: Path, folder: Path, *names: str) -> list[Manifest]:
    """The base with some components, as `kubectl kustomize` builds it."""
    deploy = shutil.copytree(repository / "deploy", folder / "deploy")
    overlay = deploy / "overlays" / "mine"
    overlay.mkdir()
    components = ", ".join(f"../../components/{name}" for name in names)
    (overlay / "kustomization.yaml").write_text(
        f"resources: [../../base]\ncomponents: [{components}]\n"
    )
    return build(kubectl, overlay)


def test_an_openpgp_key_comes_as_a_file(kubectl: Path, repository: Path, tmp_path: Path) -> None:
    """Key and settings are mounted where both containers look, and the keyring is their own."""
    built = with_components(kubectl, repository, tmp_path, "git-token", "git-signing-gpg")
    pod = pod_of(built)
    (first,), run = pod["initContainers"], container_of(built)
    assert (first["image"], first["securityContext"]) == (run["image"], run["securityContext"])
    for container in (first, run):
        names = {entry["name"]: entry["value"] for entry in container["env"]}
        mounts = {m["mountPath"]: m.get("readOnly", False) for m in container["volumeMounts"]}
        assert mounts[str(Path(names.pop("GNUPGHOME")).parent)] is False
        for name in names.keys() & {"SIGNING_KEY", "GIT_CONFIG_GLOBAL"}:
            assert mounts[str(Path(names[name]).parent)] is True, name
    for manifest in built:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("way", ["git-token", "git-app"])
def test_pull_requests_come_with_their_secrets_as_files(
    kubectl: Path, repository: Path, tmp_path: Path, way: str
) -> None:
    """Token and key reach the settings as mounted files; the run delivers, and still validates."""
    names = ("prometheus-token", way, "git-ssh", "git-signing")
    built = with_components(kubectl, repository, tmp_path, *names)
    container = container_of(built)
    assert container["args"][0] == "run" and container["args"][-1] == "--pr"
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    variables |= {"RIGHTSIZE_FORGE__APP_ID": "Iv23example"} if way == "git-app" else {}
    config = load_config(None, variables, {}).config
    mounts = [Path(m["mountPath"]) for m in container["volumeMounts"] if m.get("readOnly")]
    secret = config.forge.app_key_file if way == "git-app" else config.forge.token_file
    signing = variables["GIT_CONFIG_GLOBAL"]
    files = (secret, config.git.ssh_key, config.git.known_hosts, signing)
    for file in files:
        assert any(mount in Path(str(file)).parents for mount in mounts), file
    for manifest in built:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_shards_are_read_by_an_indexed_job_and_put_together(
    kubectl: Path, repository: Path, tmp_path: Path
) -> None:
    """Number, folders and settings of the two jobs belong together, and all of it validates."""
    built = with_components(kubectl, repository, tmp_path, "shards", "prometheus-token")
    for manifest in built:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    jobs = {
        m["metadata"]["name"]: m["spec"]["jobTemplate"]["spec"] for m in built if "Job" in m["kind"]
    }
    pods = {name: job["template"]["spec"] for name, job in jobs.items()}
    ((record,), (run,)) = (pods[name]["containers"] for name in ("rightsize-shards", "rightsize"))
    (merge,) = pods["rightsize"]["initContainers"]
    for container in (record, merge, run):
        name, *words = container["args"]
        command = main.get_command(click.Context(main), name)
        assert command is not None
        command.make_context(name, list(words))
        assert container["securityContext"] == run["securityContext"]
        assert container["image"] == run["image"]
    shard, folder = record["args"][-2:]
    count = jobs["rightsize-shards"]["completions"]
    assert shard == f"--shard=$(JOB_COMPLETION_INDEX)/{count}"
    assert Path(folder).parent == Path(merge["args"][-1])
    assert run["args"][-1] == f"--source=recording:{merge['args'][-2].partition('=')[2]}"
    assert record["env"] == run["env"]  # the token reaches who asks the server
    assert pods["rightsize-shards"]["volumes"] == pods["rightsize"]["volumes"]
    assert only(built, "PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteMany"]
    label = jobs["rightsize-shards"]["template"]["metadata"]["labels"]
    assert label == jobs["rightsize"]["template"]["metadata"]["labels"]  # for network policies


def test_workers_of_dask_fit_the_run_that_asks_them(
    kubectl: Path, repository: Path, tmp_path: Path
) -> None:
    """Address, number, image and rights belong together; pods and Service validate as such.

    What a DaskCluster is made into, its operator knows: pods of these specs, and a Service.
    """
    built = with_components(kubectl, repository, tmp_path, "prometheus-token", "dask")
    cluster = only(built, "DaskCluster")
    for manifest in built:
        if manifest is not cluster:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    scheduler, workers = cluster["spec"]["scheduler"], cluster["spec"]["worker"]
    name = f"{cluster['metadata']['name']}-scheduler"  # as the operator calls the Service
    head = {"apiVersion": "v1", "metadata": {"name": name}}
    service = {**head, "kind": "Service", "spec": scheduler["service"]}
    kubernetes_validate.validate(service, KUBERNETES, strict=True)
    run, parts = container_of(built), (scheduler, workers)
    for part in parts:
        pod = {**head, "kind": "Pod", "spec": part["spec"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        (container,) = part["spec"]["containers"]
        assert container["image"] == run["image"]
        assert container["securityContext"] == run["securityContext"]
        assert part["spec"]["automountServiceAccountToken"] is False
    command, *words = run["args"]
    asked = main.get_command(click.Context(main), command)
    assert asked is not None
    asked.make_context(command, list(words))
    port = scheduler["service"]["ports"][0]["port"]
    assert words[-2:] == [
        f"--scheduler=tcp://{name}:{port}",
        f"--shards={workers['replicas']}",
    ]
    (worker,) = workers["spec"]["containers"]
    variables = {entry["name"]: entry["value"] for entry in run["env"]}
    token = Path(variables["RIGHTSIZE_PROMETHEUS__TOKEN_FILE"])
    assert str(token.parent) in {mount["mountPath"] for mount in worker["volumeMounts"]}
    policies = [m for m in built if m["metadata"]["name"] == "rightsize-dask"]
    (policy,) = policies
    assert policy["spec"]["podSelector"]["matchLabels"] == {
        "dask.org/cluster-name": cluster["metadata"]["name"]
    }


@pytest.mark.parametrize("part", ["scheduler", "worker"])
def test_the_programs_of_dask_take_what_they_are_given(repository: Path, part: str) -> None:
    """Each flag is one of the locked version."""
    text = (repository / "deploy" / "components" / "dask" / "daskcluster.yaml").read_text("utf-8")
    (container,) = yaml.safe_load(text)["spec"][part]["spec"]["containers"]
    program = import_module(container["command"][-1]).main
    program.make_context(part, list(container["args"]))
