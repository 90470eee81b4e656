"""Bots and clients with nothing of ours but swarmkeeper-sdk, with the newest and the lowest versions that it allows."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.swarm import BOTS, DONE, play


@pytest.fixture(scope="module", params=["bots", "bots-lowest"])
def python(request: pytest.FixtureRequest, bots_python: Callable[[str], Path]) -> Path:
    return bots_python(request.param)


def packages(python: Path) -> Path:
    (found,) = python.parents[1].glob("lib/python*/site-packages")
    return found


def test_a_swarm_does_a_task(python: Path, tmp_path: Path) -> None:
    played = play(python, tmp_path)

    lacking = played.seen.pop("lacking")
    assert Path(played.seen.pop("from")) == packages(python) / "swarmkeeper"
    assert played.seen == DONE
    assert played.bots == dict.fromkeys(BOTS, (0, False))
    # Modules for agents and models name what else to install; all others load with what the SDK brings.
    rooms = (
        "swarmkeeper.agents.adapters.",
        "swarmkeeper.ai.",
        "swarmkeeper.swarm.",
        "swarmkeeper.wire.parsing.documents",
    )
    assert [name for name in lacking if not name.startswith(rooms)] == []
    assert [name for name, text in lacking.items() if "swarmkeeper." in text] == [], "a module of ours is missing"


def test_a_bot_brings_few_packages(python: Path) -> None:
    """15 packages and 20 MB when this was written; the whole brings 41 and 94 MB."""
    here = packages(python)
    size = sum(file.stat().st_size for file in here.rglob("*") if file.is_file() and file.suffix != ".pyc")

    assert len(list(here.glob("*.dist-info"))) <= 17
    assert size < 25e6


@pytest.mark.parametrize(
    "code",
    ["from swarmkeeper import Orchestrator", "import swarmkeeper.testing", "import swarmkeeper.in_process"],
)
def test_code_that_needs_the_server_says_what_to_install(code: str, python: Path) -> None:
    done = subprocess.run([python, "-P", "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: swarmkeeper."), last
    assert "is not in swarmkeeper-sdk" in last
    assert "Install swarmkeeper " in last


def test_the_command_says_what_to_install(python: Path) -> None:
    done = subprocess.run([python, "-P", "-m", "swarmkeeper", "dev"], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("swarmkeeper: swarmkeeper.cli is not in swarmkeeper-sdk"), done.stderr
    assert not (python.parent / "swarmkeeper").exists()


def test_help_on_the_package_works(python: Path) -> None:
    code = "import swarmkeeper; [getattr(swarmkeeper, name) for name in dir(swarmkeeper)]; help(swarmkeeper)"
    done = subprocess.run([python, "-P", "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_the_server_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, swarmkeeper; swarmkeeper.__version__ = '9.9.9'; from swarmkeeper.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "swarmkeeper-sdk 9.9.9 are installed together, and must be the same version" in done.stderr
