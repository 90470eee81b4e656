"""The two wheels as they are built from the tree, and environments that hold swarmkeeper-sdk alone."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.built import ROOT, UV, Wheel, sdk_and_server


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Wheel, Wheel]:
    """Return the wheels of swarmkeeper-sdk and of swarmkeeper."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in ("sdk", "server"):
        options = ["--no-config", "--offline", "--no-build-isolation", "--python", sys.executable]
        subprocess.run([UV, "build", "-q", "--wheel", *options, "-o", folder, ROOT / "packages" / name], check=True)
    return sdk_and_server(folder)


@pytest.fixture(scope="session")
def bots_python(wheels: tuple[Wheel, Wheel], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that makes an environment with swarmkeeper-sdk and what requirements/NAME.txt says, and returns
    its Python. The packages are copied from the environments that `make setup` keeps, so that nothing is fetched.
    """

    def python(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        kept = ROOT / ".venv-bots" / name
        subprocess.run(
            [UV, "venv", "-q", "--clear", "--no-config", "--python", kept / "bin/python", folder], check=True
        )
        (packages,) = folder.glob("lib/python*/site-packages")
        shutil.copytree(kept / packages.relative_to(folder), packages, dirs_exist_ok=True)
        target = ["--python", str(folder / "bin/python"), "--no-config", "--offline", "--no-deps", "--compile-bytecode"]
        subprocess.run([UV, "pip", "install", "-q", *target, wheels[0].path], check=True)
        return folder / "bin/python"

    return python
