"""The list of components of a release names everything that is installed with it, and the files of the release."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.packaging.built import ROOT, Wheel

LOCK = ROOT / "requirements" / "runtime.txt"


@pytest.fixture(scope="module")
def folder(wheels: tuple[Wheel, Wheel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sbom")
    for wheel in wheels:
        (made / wheel.path.name).write_bytes(wheel.path.read_bytes())
    return made


def listed(folder: Path) -> str:
    asked = [sys.executable, "scripts/sbom.py", str(folder)]
    epoch = {"SOURCE_DATE_EPOCH": "1790000000", "PATH": "/usr/bin:/bin"}
    subprocess.run(asked, cwd=ROOT, env=epoch, check=True, capture_output=True)
    return (folder / "swarmkeeper.cdx.json").read_text()


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return listed(folder)


@pytest.fixture(scope="module")
def document(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def test_it_is_valid_and_the_same_each_time(folder: Path, text: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert listed(folder) == text


def test_it_names_each_locked_package_with_the_hashes_of_its_files(document: dict[str, Any]) -> None:
    found = {f"{each['name']}=={each['version']}" for each in document["components"]}
    hashes = {one["value"] for each in document["components"] for one in each["properties"] if "sha256" in one["name"]}

    lines = LOCK.read_text().splitlines()
    assert found == {line.split(" ")[0].rstrip("\\") for line in lines if line[:1].isalnum()}
    assert hashes == {line.strip().removeprefix("--hash=sha256:").split(" ")[0] for line in lines if "--hash" in line}


def test_what_depends_on_what_is_known(document: dict[str, Any]) -> None:
    depends = {each["ref"].partition("@")[0]: each.get("dependsOn", []) for each in document["dependencies"]}

    assert any(each.startswith("pkg:pypi/starlette@") for each in depends["pkg:pypi/fastapi"])
    assert len(depends["pkg:pypi/swarmkeeper"]) == len(document["components"])


def test_it_has_the_hashes_of_both_wheels(document: dict[str, Any], folder: Path) -> None:
    product = document["metadata"]["component"]
    files = {each["name"]: each["hashes"][0]["content"] for each in product["components"]}

    assert product["name"] == "swarmkeeper"
    assert files == {wheel.name: sha256(wheel.read_bytes()).hexdigest() for wheel in folder.glob("*.whl")}


def test_without_a_wheel_it_says_what_to_do(tmp_path: Path) -> None:
    asked = [sys.executable, "scripts/sbom.py", str(tmp_path)]
    refused = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)

    assert refused.returncode == 1
    assert "run `make dist` first" in refused.stderr
