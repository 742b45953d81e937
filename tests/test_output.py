"""Publishing: the whole folder or nothing, and nothing that is not ours."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.errors import OutputError
from analyzer.output import SUMS, claim, publish, read_as_written, write_files


def put(target: Path, **files: str) -> None:
    """Publish `files` (name to text) as `target`."""
    with publish(target) as folder:
        write_files(folder, {name.replace("_", "."): text.encode() for name, text in files.items()})


def names(folder: Path) -> set[str]:
    """Everything visible and hidden in a folder."""
    return {path.name for path in folder.iterdir()}


def test_a_result_replaces_the_one_before_entirely(tmp_path: Path) -> None:
    """Nothing of the old run lingers among the new files."""
    target = tmp_path / "latest"
    put(target, a_txt="old", b_txt="old")
    put(target, a_txt="new")
    assert names(target) == {"a.txt", SUMS}
    assert (target / "a.txt").read_text() == "new"


def test_a_failure_leaves_the_previous_result(tmp_path: Path) -> None:
    """An exception half way changes nothing and leaves nothing behind."""
    target = tmp_path / "latest"
    put(target, a_txt="old")
    with pytest.raises(RuntimeError), publish(target) as folder:
        (folder / "a.txt").write_text("half")
        raise RuntimeError
    assert (target / "a.txt").read_text() == "old"
    assert names(tmp_path) == {"latest"}


@pytest.mark.parametrize("name", ["notes.md", "sub/notes.md"])
def test_a_folder_with_other_files_is_not_replaced(tmp_path: Path, name: str) -> None:
    """What somebody put there is named, and kept."""
    target = tmp_path / "latest"
    put(target, a_txt="old")
    (target / name).parent.mkdir(exist_ok=True)
    (target / name).write_text("mine")
    with pytest.raises(OutputError, match=r"holds (sub/)?notes\.md"):
        put(target, a_txt="new")
    assert (target / name).read_text() == "mine"


def test_a_link_in_the_place_of_the_target_is_refused(tmp_path: Path) -> None:
    """A symbolic link could lead anywhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "latest").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="not a folder"):
        put(tmp_path / "latest", a_txt="new")


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b", "", "a\0b"])
def test_no_writer_leaves_the_folder(tmp_path: Path, name: str) -> None:
    """A path that would lead out is an error, not a file."""
    with pytest.raises(OutputError, match="outside the output folder"):
        write_files(tmp_path, {name: b""})
    assert not names(tmp_path)


def test_a_parent_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    """The message names the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        put(tmp_path / "file" / "latest", a_txt="new")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_parent_is_one_sentence(tmp_path: Path) -> None:
    """Said before any work is done."""
    (tmp_path / "ro").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="not writable"):
        put(tmp_path / "ro" / "latest", a_txt="new")


def test_two_runs_at_once_do_not_mix(tmp_path: Path) -> None:
    """The second says so and changes nothing."""
    target = tmp_path / "latest"
    with publish(target) as folder:
        (folder / "a.txt").write_text("first")
        with pytest.raises(OutputError, match="another run"), publish(target):
            pass
    assert (target / "a.txt").read_text() == "first"


def test_an_interrupt_between_the_renames_keeps_the_old_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old folder stands aside already and the new one not yet in place: the old one is back."""
    target, rename = tmp_path / "latest", Path.rename
    put(target, a_txt="old")

    def interrupted(path: Path, to: Path) -> Path:
        if path.name == ".latest.new":
            raise KeyboardInterrupt
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put(target, a_txt="new")
    assert (target / "a.txt").read_text() == "old"
    assert names(tmp_path) == {"latest"}


def test_a_claim_keeps_others_out_before_anything_is_written(tmp_path: Path) -> None:
    """The second run hears it when it starts, not when it is done; afterwards the way is free."""
    target = tmp_path / "latest"
    with claim(target) as claimed:
        with pytest.raises(OutputError, match="another run"), claim(target):
            pass
        with claimed.publish() as folder:
            (folder / "a.txt").write_text("first")
    assert names(tmp_path) == {"latest"}
    put(target, a_txt="second")
    assert (target / "a.txt").read_text() == "second"


def test_a_claim_brings_back_what_a_killed_run_had_put_aside(tmp_path: Path) -> None:
    """Even where the next run comes to nothing, the last whole result is in its place again."""
    target = tmp_path / "latest"
    put(target, a_txt="old")
    target.rename(tmp_path / ".latest.previous")
    with claim(target):
        pass
    assert (target / "a.txt").read_text() == "old"
    assert names(tmp_path) == {"latest"}


def test_what_was_put_there_after_the_claim_is_kept(tmp_path: Path) -> None:
    """A run takes long; its target is looked at again before it is replaced."""
    target = tmp_path / "latest"
    put(target, a_txt="old")
    with pytest.raises(OutputError, match=r"holds notes\.md"), claim(target) as claimed:
        (target / "notes.md").write_text("mine")
        with claimed.publish():
            pass
    assert (target / "notes.md").read_text() == "mine"


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    """Nothing is written, or emptied, wherever it leads."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".latest.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError, match="cannot be written"):
        put(tmp_path / "latest", a_txt="new")
    assert (tmp_path / "mine").read_text() == "mine"


_CLAIMS = """
import sys
from pathlib import Path
from analyzer.errors import OutputError
from analyzer.output import claim
target, held = Path(sys.argv[1]), 0
while held < 300:
    try:
        with claim(target):
            (target.parent / "held").mkdir()  # fails where another holds the claim too
            (target.parent / "held").rmdir()
            held += 1
    except OutputError:
        pass
"""


def test_a_lock_that_comes_and_goes_is_held_by_one_alone(tmp_path: Path) -> None:
    """Two processes that claim, and remove the lock file, hundreds of times never both hold it."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIMS, str(tmp_path / "latest")],
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert [process.communicate()[1] for process in processes] == ["", ""]
    assert names(tmp_path) == set()


_LOOP = """
import sys
from pathlib import Path
from analyzer.output import publish
target = Path(sys.argv[1])
for number in range(10_000):
    with publish(target) as folder:
        for name in "abc":
            (folder / name).write_text(str(number))
    print(number, flush=True)
"""


def test_a_kill_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    """After each kill, the next publication finds a whole result: old or new, never a mixture."""
    target = tmp_path / "latest"
    for attempt in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", _LOOP, str(target)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.003 * attempt)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        whole = target if target.exists() else tmp_path / ".latest.previous"
        assert len({(whole / name).read_text() for name in "abc"}) == 1
        with publish(target) as folder:
            (folder / "a").write_text("next")
        assert names(tmp_path) == {"latest"}


def test_a_failure_from_elsewhere_is_not_blamed_on_the_folder(tmp_path: Path) -> None:
    """What the block itself fails at stays what it is; the old result stays as well."""
    target = tmp_path / "latest"
    with publish(target) as folder:
        (folder / "a").write_text("old")
    with pytest.raises(PermissionError, match="semaphore"), publish(target) as folder:
        raise PermissionError(13, "no semaphore", None)
    assert (target / "a").read_text() == "old"
    assert names(tmp_path) == {"latest"}


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """What stands in the folder now is taken over as it was written, or not at all."""
    os.mkfifo(tmp_path / "a.png")
    assert read_as_written(tmp_path, "a.png", {"a.png": "0" * 64}) is None
