"""Put together what the API needs and nothing else: the folder that becomes a Lambda function's ZIP file.

    python -m model.server.bundle --output build/lambda

Installs requirements-api.txt for the Python and the platform that run this, so run it where they are Lambda's: Linux,
Python 3.12 or newer (the C library of Lambda's earlier runtimes is too old for LiteRT). Exit code 1 if the folder is
larger than 200 MB; Lambda takes 250 MiB.
"""

from __future__ import annotations

import argparse
import compileall
import json
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from model.arguments import add_artifact
from model.inference.artifact import MANIFEST_FILE, SERVING_FILES, ArtifactMismatch, load_artifact

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements-api.txt"
MAX_BYTES = 200_000_000
LARGEST_SHOWN = 8
# Parts of the installed packages that no request needs: tests, compilers, stubs, and what drives other hardware.
UNUSED: tuple[str, ...] = (
    "**/tests",
    "**/*.pyi",
    "bin",
    "ai_edge_litert/libLiteRtWebGpuAccelerator.so",
    "ai_edge_litert/tools",
    "ai_edge_litert/vendors",
    "numpy/distutils",
    "numpy/f2py",
    "pydicom/data/test_files",
)


def build(output: Path, artifact_folder: Path) -> int:
    """Write the bundle into a new folder and return its size, bytes. Uses the package index.

    Raises:
        FileExistsError: the folder holds something.
        ArtifactMismatch: the artifact is not usable.
        subprocess.CalledProcessError: pip failed.
    """
    if output.exists() and any(output.iterdir()):
        raise FileExistsError(f"expected a new folder, {output} holds something; remove it or name another")
    copy_artifact(artifact_folder, output / "model" / "weights" / artifact_folder.name)
    copy_code(output)
    install(output)
    remove_unused(output)
    # A function's folder cannot be written to, so without this every cold start would compile everything again. The
    # check is off since unpacking changes the files' times.
    compileall.compile_dir(output, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    return size_of(output)


def copy_artifact(folder: Path, target: Path) -> None:
    """Copy the files that serving reads, and a manifest that vouches for those alone."""
    manifest = load_artifact(folder).manifest
    target.mkdir(parents=True)
    for name in SERVING_FILES:
        shutil.copy2(folder / name, target / name)
    kept = {**manifest, "files": {name: manifest["files"][name] for name in SERVING_FILES}}
    (target / MANIFEST_FILE).write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def copy_code(target: Path) -> None:
    """Copy the modules of `model` and `data`, which serving imports a part of."""
    for package in ("model", "data"):
        for module in sorted((ROOT / package).rglob("*.py")):
            place = target / module.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(module, place)


def install(target: Path) -> None:
    """Install the pinned requirements into a folder."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "--target", str(target), "--requirement", str(REQUIREMENTS)], check=True)


def remove_unused(folder: Path) -> None:
    """Remove `UNUSED` from a folder of installed packages."""
    for path in [path for pattern in UNUSED for path in folder.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="new folder to write")
    add_artifact(parser)
    arguments = parser.parse_args(argv)
    try:
        total = build(arguments.output, arguments.artifact)
    except (FileExistsError, ArtifactMismatch, subprocess.CalledProcessError) as error:
        print(f"model.server.bundle: {error}", file=sys.stderr)
        return 2
    sizes = {path.name: size_of(path) for path in arguments.output.iterdir() if path.is_dir()}
    for name in sorted(sizes, key=lambda name: -sizes[name])[:LARGEST_SHOWN]:
        print(f"{sizes[name] / 1e6:8.1f} MB  {name}")
    print(f"{total / 1e6:8.1f} MB  in all, at most {MAX_BYTES / 1e6:.0f} MB")
    return 0 if total <= MAX_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
