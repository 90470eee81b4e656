"""Runs a swarm of bots beside an agent framework: `python -m tests.packaging.beside crewai`.

swarmkeeper-sdk and the newest release of the framework are solved together and installed into a new environment, and a
swarm does a task in it. This needs a package index, so `make test` does not run it; the nightly workflow does, for each
framework. The versions that were chosen are printed.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.packaging.built import ROOT, UV
from tests.packaging.swarm import BOTS, DONE, play

FRAMEWORKS = (
    *("pydantic-ai", "langgraph", "openai-agents", "agent-framework"),
    *("google-adk", "strands-agents", "crewai"),
)


def installed(framework: str, folder: Path) -> Path:
    """Make an environment with swarmkeeper-sdk and the framework's newest release in `folder`. Return its Python.

    Raises:
        CalledProcessError: they cannot be solved together, or not be installed; uv has said why.
    """
    out = ["--no-config", "--offline", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder)]
    subprocess.run([UV, "build", "-q", "--wheel", *out, ROOT / "packages" / "sdk"], check=True)
    (wheel,) = folder.glob("*.whl")
    python = folder / "environment" / "bin" / "python"
    subprocess.run([UV, "venv", "-q", "--no-config", "--python", sys.executable, folder / "environment"], check=True)
    install = [str(UV), "pip", "install", "-q", "--no-config", "--system-certs", "--compile-bytecode"]
    subprocess.run([*install, "--python", str(python), str(wheel), framework], check=True)
    return python


def main(framework: str) -> None:
    if framework not in FRAMEWORKS:
        sys.exit(f"no framework {framework}; these are known: {', '.join(FRAMEWORKS)}")
    with tempfile.TemporaryDirectory() as folder:
        python = installed(framework, Path(folder))
        subprocess.run([UV, "pip", "freeze", "--no-config", "--python", python], check=True)
        subprocess.run([UV, "pip", "check", "--no-config", "--python", python], check=True)
        played = play(python, Path(folder))
    seen = {name: value for name, value in played.seen.items() if name in DONE}
    if seen != DONE or played.bots != dict.fromkeys(BOTS, (0, False)):
        sys.exit(f"beside {framework}, the swarm did not do its task: {seen}, {played.bots}")
    print(f"beside {framework}, a swarm did its task")


if __name__ == "__main__":
    main(*sys.argv[1:])
