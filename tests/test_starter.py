"""A first settings file: it is read as it is, and says what the cluster has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from analyzer.cli import main
from analyzer.config import Config, load_config
from analyzer.config.starter import starter
from analyzer.workload import ContainerRef
from analyzer.writers import WRITERS

SAMPLE = Path(__file__).parents[1] / "sample-data" / "recording"


def known(*names: tuple[str, str, str]) -> list[ContainerRef]:
    """Containers by namespace, kind and workload."""
    return [ContainerRef("lab", *name, "app") for name in names]


def written(tmp_path: Path, text: str) -> Path:
    """The file."""
    path = tmp_path / "rightsize.yaml"
    path.write_text(text, "utf-8")
    return path


def test_what_can_be_protected_here_is_switched_on(tmp_path: Path) -> None:
    """Databases and system namespaces where there are some; each line says which."""
    refs = known(("kube-system", "Deployment", "dns"), ("shop", "StatefulSet", "my-redis"))
    text = starter(refs, source="recording:x", cluster="lab", repo="/srv/repo")
    config = load_config(written(tmp_path, text)).config
    assert set(config.protect) == {"databases", "system"}
    assert (config.source, config.cluster, config.git.repo) == ("recording:x", "lab", "/srv/repo")
    assert "- databases  # only raised; here: shop/StatefulSet/my-redis\n" in text
    assert "# - stateful  # only raised; here: shop/StatefulSet/my-redis\n" in text
    assert config.policies.of(refs[0]).direction == "off"
    assert config.policies.of(refs[1]).direction == "raise"


def test_what_is_commented_out_is_right_as_well(tmp_path: Path) -> None:
    """Every setting that a comment offers is one, with a value that is taken."""
    text = starter(known(("media", "Deployment", "plex")), source="recording:x")
    offered = [line for line in text.splitlines() if line.startswith(("# rules", "# policy"))]
    assert len(offered) == 2
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    kept = [line for line in lines if line.startswith((" ", "- ")) or re.match(r"\w+:( |$)", line)]
    tree = yaml.safe_load("\n".join(kept))
    assert {"policy", "rules", "window", "horizon", "git"} <= set(tree)
    load_config(written(tmp_path, yaml.safe_dump(tree)))


def test_without_a_source_it_is_a_file_to_fill_in(tmp_path: Path) -> None:
    """Nothing is switched on that nobody has seen, and the file is right as it is."""
    config = load_config(written(tmp_path, starter([]))).config
    assert (config.source, config.protect) == (None, ())


@pytest.mark.parametrize("name", ["a: b", "x\n- y", "\x1b[31m", "\u202e", '"', "#", "{{x}}", "@"])
def test_no_name_ends_a_comment_or_a_value(tmp_path: Path, name: str) -> None:
    """Names from a cluster stay what they are: in comments harmless, in values exact."""
    refs = known((name, "StatefulSet", f"{name}redis"))
    text = starter(refs, source=f"recording:{name}", cluster=name)
    assert all(line.isprintable() for line in text.splitlines())
    config = load_config(written(tmp_path, text)).config
    assert (config.cluster, config.source) == (name, f"recording:{name}")


def test_a_cluster_is_looked_at_and_no_file_is_overwritten(tmp_path: Path) -> None:
    """The command reads the source, writes one file, and refuses where one is."""
    path = tmp_path / "new.yaml"
    words = ["init", "-q", "--source", f"recording:{SAMPLE}", str(path)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{path}\n"
    assert load_config(path).config.cluster == "homelab"
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 2
    assert "is there already" in again.stderr


def test_every_format_is_named_and_counts_read_well(tmp_path: Path) -> None:
    """The line of formats, switched on, is what holds without it; one is no plural."""
    text = starter(known(("media", "Deployment", "plex")), source="recording:x")
    assert "seen were 1 container of 1 workload in 1 namespace." in text
    assert set(WRITERS) <= set(re.findall(r"\w+", text))
    chosen = load_config(written(tmp_path, text.replace("# formats:", "formats:"))).config
    assert chosen.formats == Config().formats
