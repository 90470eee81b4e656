"""The distributions swarmkeeper-sdk and swarmkeeper: together they hold the package, each file once."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import swarmkeeper
from scripts import dist
from swarmkeeper.cli import main as command_line
from tests.packaging import beside
from tests.packaging.built import ROOT, UV, Wheel, sdk_and_server
from tests.tidy.tree import SRC, files, imports

ADVICE = (
    "a new file goes into source-exclude of packages/server (bots need it) or of packages/sdk (the server needs it)"
)


def project(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def of_package() -> set[str]:
    return {f"swarmkeeper/{file.relative_to(SRC).as_posix()}" for file in files(SRC) if file.suffix != ".pyc"}


def test_each_file_of_the_package_is_in_one_of_the_two_wheels(wheels: tuple[Wheel, Wheel]) -> None:
    sdk, server = (set(wheel.names) for wheel in wheels)
    pages = {name for name in server if name.startswith("swarmkeeper/pages/")}

    assert sorted(sdk & server) == [], f"in both; {ADVICE}"
    assert sorted(of_package() - sdk - server) == [], f"in neither; {ADVICE}"
    assert sorted((sdk | server) - of_package() - pages) == []


def test_no_wheel_lists_a_file_twice(wheels: tuple[Wheel, Wheel]) -> None:
    for wheel in wheels:
        assert sorted(wheel.names) == sorted(set(wheel.names))
        assert sorted(wheel.recorded) == sorted(set(wheel.recorded))
        assert set(wheel.names) <= set(wheel.recorded)


def test_what_bots_need_imports_nothing_that_their_wheel_lacks(wheels: tuple[Wheel, Wheel]) -> None:
    """Also for type checkers and inside functions. Two files know of the server: the public names, and `python -m`."""
    sdk, server = (set(wheel.names) for wheel in wheels)
    lacking = []
    for file in files(SRC, ".py"):
        name = f"swarmkeeper/{file.relative_to(SRC).as_posix()}"
        if name not in sdk or name in ("swarmkeeper/__init__.py", "swarmkeeper/__main__.py"):
            continue
        for line, module, names in imports(file):
            for named in (module, *(f"{module}.{each}" for each in names)):
                path = named.replace(".", "/")
                lacking += [f"{name}:{line}: {named}" for end in (".py", "/__init__.py") if path + end in server]

    assert lacking == []


def test_the_message_about_the_server_knows_what_the_sdk_leaves_out(wheels: tuple[Wheel, Wheel]) -> None:
    sdk, server = ({name.split("/")[1].removesuffix(".py") for name in wheel.names} for wheel in wheels)

    assert server - sdk == swarmkeeper._SERVER_ONLY


def test_all_parts_have_one_version(wheels: tuple[Wheel, Wheel]) -> None:
    sdk, server = wheels

    assert {project(folder)["version"] for folder in (".", "packages/sdk", "packages/server")} == {
        swarmkeeper.__version__
    }
    assert swarmkeeper.__version__ == command_line._VERSION
    assert f"swarmkeeper-sdk=={swarmkeeper.__version__}" in server.needs
    assert project("packages/server")["optional-dependencies"]["ai"] == [
        f"swarmkeeper-sdk[ai]=={swarmkeeper.__version__}"
    ]
    assert sdk.metadata["Name"] == "swarmkeeper-sdk"
    assert server.metadata["Name"] == "swarmkeeper"


def test_a_clone_needs_what_the_two_distributions_need(wheels: tuple[Wheel, Wheel]) -> None:
    sdk, server, whole = project("packages/sdk"), project("packages/server"), project(".")
    needed = {need for need in (*sdk["dependencies"], *server["dependencies"]) if "swarmkeeper-sdk" not in need}

    # Where both need a package, the server's bound is the higher one.
    named = {re.split(r"[\[<>=;]", need)[0] for need in server["dependencies"]}
    by_both = {need for need in sdk["dependencies"] if re.split(r"[\[<>=;]", need)[0] in named}

    assert set(whole["dependencies"]) == needed - (by_both - set(server["dependencies"]))
    assert whole["optional-dependencies"]["ai"] == sdk["optional-dependencies"]["ai"]
    assert whole["scripts"] == server["scripts"]
    assert {whole["requires-python"], sdk["requires-python"], server["requires-python"]} == {">=3.11"}


def test_the_whole_cannot_be_published_by_mistake() -> None:
    assert "Private :: Do Not Upload" in project(".")["classifiers"]
    for folder in ("packages/sdk", "packages/server"):
        assert [word for word in project(folder)["classifiers"] if word.startswith("Private")] == []


def test_wheels_are_small(wheels: tuple[Wheel, Wheel]) -> None:
    """In KiB: 300 and 1,830 when this was written, of which the rules of redaction have 170, and the dashboard 110."""
    sdk, server = (wheel.path.stat().st_size / 1024 for wheel in wheels)

    assert sdk < 400
    assert server < 1_950


def test_a_wheel_from_a_source_archive_is_the_wheel_from_the_tree(wheels: tuple[Wheel, Wheel], tmp_path: Path) -> None:
    for name in dist.DISTRIBUTIONS:
        dist.build(name, str(UV), tmp_path / "work", tmp_path)

    assert len(list(tmp_path.glob("*.tar.gz"))) == 2
    for ours, theirs in zip(wheels, sdk_and_server(tmp_path), strict=True):
        assert ours.path.read_bytes() == theirs.path.read_bytes()


def test_the_nightly_workflow_runs_bots_beside_each_framework() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/nightly.yml").read_text(encoding="utf-8"))["jobs"]

    assert jobs["beside-a-framework"]["strategy"]["matrix"]["framework"] == list(beside.FRAMEWORKS)


@pytest.mark.parametrize("how", [(), ("--editable",)])
def test_pip_installs_a_clone_by_one_command(how: tuple[str, ...], tmp_path: Path) -> None:
    """The first thing that people do. The whole is in it, and no other distribution of ours is needed."""
    environment = tmp_path / "environment"
    subprocess.run([UV, "venv", "-q", "--no-config", "--python", sys.executable, environment], check=True)
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "-q"]
    build = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": str(backend())}
    pip = [sys._base_executable, "-m", "pip", "--python", environment / "bin/python"]  # type: ignore[attr-defined]  # the Python that made this environment, which has pip
    done = subprocess.run(
        [*pip, "install", *offline, *how, ROOT], env=build, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    (about,) = environment.glob("lib/python*/site-packages/swarmkeeper*.dist-info")
    assert about.name == f"swarmkeeper-{swarmkeeper.__version__}.dist-info"
    assert "Requires-Dist: swarmkeeper" not in (about / "METADATA").read_text(encoding="utf-8")
    loading = (
        "import importlib.util, swarmkeeper;"
        " assert all(importlib.util.find_spec(f'swarmkeeper.{room}') for room in ('app', 'cli', 'sdk', 'agents'));"
        " print(swarmkeeper.__file__)"
    )
    done = subprocess.run([environment / "bin/python", "-P", "-c", loading], capture_output=True, text=True, check=True)
    assert Path(done.stdout).is_relative_to(ROOT if how else environment)
    assert (environment / "bin/swarmkeeper").exists()


def backend() -> Path:
    """Return the folder that holds the build backend."""
    import uv_build

    return Path(str(uv_build.__file__)).parents[1]
