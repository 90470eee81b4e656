"""Build the two distributions into dist/: a source archive of each, and a wheel from each source archive.

Run by `make dist`. In the repository, packages/*/src are symbolic links to src/, which a source archive cannot hold. So
each distribution is copied into build/dist/ first, with files in place of links, and built there.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTIONS = ("sdk", "server")


def copied(name: str, folder: Path) -> Path:
    """Copy the folder of the distribution `name` into `folder`, and return the copy."""
    to = folder / name
    if to.exists():
        shutil.rmtree(to)
    shutil.copytree(ROOT / "packages" / name, to, ignore=shutil.ignore_patterns("__pycache__"))
    return to


def build(name: str, uv: str, work: Path, out: Path) -> None:
    """Build the distribution `name` into `out`, with the build backend of the Python that runs this, offline."""
    options = ["--no-config", "--offline", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(out)]
    subprocess.run([uv, "build", "--quiet", *options, str(copied(name, work))], check=True)


def main(uv: str = "uv", work: str = "build/dist", out: str = "dist") -> None:
    target = ROOT / out
    if target.exists():
        shutil.rmtree(target)
    for name in DISTRIBUTIONS:
        build(name, uv, ROOT / work, target)
    for file in sorted([*target.glob("*.whl"), *target.glob("*.tar.gz")]):
        print(
            f"{file.stat().st_size / 1024:7.0f} KiB  {file.relative_to(ROOT) if target.is_relative_to(ROOT) else file}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
