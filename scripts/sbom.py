"""Write the list of components of a release (SBOM) into dist/, in the JSON form of CycloneDX 1.6.

Run by `make sbom`, after `make dist`. Components are what requirements/runtime.txt locks; their licenses and what they
depend on come from the packages that are installed. The same inputs give the same bytes: the serial number follows from
the contents, and the time from SOURCE_DATE_EPOCH (by default that of the last commit).
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "runtime.txt"
PRODUCT = "swarmkeeper"
_LINE = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; (.+?))? *\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Locked:
    """A package of the lock file."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]  # SHA-256 of every file of this version


def locked(text: str) -> Iterator[Locked]:
    """Yield the packages of a file that `uv pip compile --generate-hashes` wrote."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for block in re.split(r"\n(?=[A-Za-z0-9])", "\n".join(lines)):
        found = _LINE.match(block.splitlines()[0])
        if found is None:
            raise ValueError(f"this line is not understood: {block.splitlines()[0]}")
        yield Locked(found[1], found[2], found[3] or "", tuple(sorted(_HASH.findall(block))))


def component(package: Locked) -> Component:
    url = PackageURL("pypi", None, canonicalize_name(package.name), package.version)
    properties = [Property(name=f"{PRODUCT}:sha256", value=value) for value in package.hashes]
    if package.marker:
        properties.append(Property(name=f"{PRODUCT}:marker", value=package.marker))
    license_ = _license(package)
    return Component(
        name=package.name,
        version=package.version,
        purl=url,
        bom_ref=str(url),
        licenses=None if license_ is None else [license_],
        properties=properties,
    )


def _license(package: Locked) -> License | None:
    """Return the license that the installed package states; None if another version, or none, is installed."""
    try:
        stated = metadata.metadata(package.name).json
    except metadata.PackageNotFoundError:
        return None
    said = str(stated.get("license_expression") or stated.get("license") or "").strip()
    if not said or "\n" in said:  # some put the whole text there
        classified = [str(each) for each in stated.get("classifier", ()) if str(each).startswith("License :: ")]
        said = classified[0].rpartition(" :: ")[2] if classified else ""
    return LicenseFactory().make_from_string(said) if said else None


def bom(packages: list[Locked], version: str, wheels: list[Path]) -> Bom:
    """Return the list of components: the product, and all that it is installed with."""
    components = {canonicalize_name(package.name): component(package) for package in packages}
    product = Component(
        name=PRODUCT,
        version=version,
        type=ComponentType.APPLICATION,
        purl=PackageURL("pypi", None, PRODUCT, version),
        bom_ref=f"pkg:pypi/{PRODUCT}@{version}",
        components=[
            Component(
                name=wheel.name,
                type=ComponentType.FILE,
                bom_ref=f"file:{wheel.name}",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256(wheel.read_bytes()).hexdigest())],
            )
            for wheel in wheels
        ],
    )
    listed = Bom(components=components.values())
    listed.metadata.component = product
    listed.metadata.timestamp = _time()
    listed.register_dependency(product, components.values())
    for name, owner in components.items():
        listed.register_dependency(owner, [components[each] for each in _requires(name) if each in components])
    contents = "\n".join([version, *(f"{each.name}=={each.version}" for each in packages), *(w.name for w in wheels)])
    listed.serial_number = uuid5(NAMESPACE_URL, f"{PRODUCT}:{contents}")
    return listed


def _requires(name: str) -> set[NormalizedName]:
    try:
        stated = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return set()
    wanted = [Requirement(text) for text in stated]
    return {
        str(canonicalize_name(each.name))
        for each in wanted
        if each.marker is None or each.marker.evaluate({"extra": ""})
    }


def _time() -> datetime:
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if seconds is None:
        asked = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        seconds = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    return datetime.fromtimestamp(int(seconds), UTC)


def main(out: str = "dist") -> None:
    folder = ROOT / out
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        sys.exit(f"{folder} has no wheel: run `make dist` first")
    found = bom(list(locked(LOCK.read_text("utf-8"))), metadata.version(PRODUCT), wheels)
    target = folder / f"{PRODUCT}.cdx.json"
    target.write_text(JsonV1Dot6(found).output_as_string(indent=2) + "\n", "utf-8")
    print(f"{len(found.components)} components  {target.relative_to(ROOT) if target.is_relative_to(ROOT) else target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
