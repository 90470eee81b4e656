"""The systemd units name what exists, stop in time, and give away as little of the machine as they can."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from swarmkeeper.sdk.runner import DRAIN_SECONDS
from swarmkeeper.settings import BY_NAME, Settings
from tests.tidy.tree import ROOT

FOLDER = ROOT / "deploy" / "systemd"
UNITS = ("swarmkeeper.service", "swarmkeeper-bot@.service")
# What takes rights away. A service that has one of them changed is not what the guide says.
TAKEN = {
    **dict.fromkeys(("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectClock"), "yes"),
    **dict.fromkeys(("ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules"), "yes"),
    **dict.fromkeys(("ProtectKernelTunables", "LockPersonality", "RestrictRealtime", "RestrictSUIDSGID"), "yes"),
    "ProtectSystem": "strict",
    "CapabilityBoundingSet": "",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
}
ANALYZE = shutil.which("systemd-analyze")


def values(unit: str, section: str, name: str) -> list[str]:
    """Return all values of a key, which may stand in the section more than once."""
    text = (FOLDER / unit).read_text(encoding="utf-8").partition(f"[{section}]")[2].partition("\n[")[0]
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("unit", UNITS)
def test_every_line_of_a_unit_is_a_key_of_a_known_section(unit: str) -> None:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.read(FOLDER / unit)

    assert parser.sections() == ["Unit", "Service", "Install"]
    assert values(unit, "Install", "WantedBy") == ["multi-user.target"]


@pytest.mark.parametrize("unit", UNITS)
def test_a_service_can_change_nothing_of_the_machine(unit: str) -> None:
    assert {name: values(unit, "Service", name) for name in TAKEN} == {name: [value] for name, value in TAKEN.items()}
    assert "@system-service" in values(unit, "Service", "SystemCallFilter")
    assert values(unit, "Service", "User") + values(unit, "Service", "DynamicUser") in (["swarmkeeper"], ["yes"])


@pytest.mark.parametrize("unit", UNITS)
def test_what_a_unit_sets_are_settings(unit: str) -> None:
    named = re.findall(r"SWARMKEEPER_([A-Z_]+)=", " ".join(values(unit, "Service", "Environment")))

    assert named
    assert {name.lower() for name in named} <= set(BY_NAME)


def test_nothing_is_killed_while_it_finishes_its_work() -> None:
    [server], [bot] = (values(unit, "Service", "TimeoutStopSec") for unit in UNITS)

    assert int(server) > 2 * Settings().stop_seconds
    assert int(bot) > DRAIN_SECONDS + 5


def test_the_store_is_where_the_service_may_write() -> None:
    [environment, _] = values(UNITS[0], "Service", "Environment")

    assert values(UNITS[0], "Service", "StateDirectory") == ["swarmkeeper"]
    assert "SWARMKEEPER_STORE=sqlite:///%S/swarmkeeper/store.db" in environment  # %S is /var/lib
    assert (FOLDER / "swarmkeeper.sysusers").read_text(encoding="utf-8").splitlines()[-1].split()[:2] == [
        "u",
        "swarmkeeper",
    ]


# Without systemd, the tests above are what there is.
if ANALYZE is not None:

    def verified(unit: Path) -> str:
        done = subprocess.run([str(ANALYZE), "verify", str(unit)], capture_output=True, text=True, check=False)
        # It reads other units of the machine, too, and tells of theirs.
        return "\n".join(line for line in done.stderr.splitlines() if "swarmkeeper" in line)

    @pytest.mark.parametrize("unit", UNITS)
    def test_systemd_finds_no_fault_in_a_unit(unit: str, tmp_path: Path) -> None:
        copy = tmp_path / unit.replace("@", "@counter")
        text = (FOLDER / unit).read_text(encoding="utf-8")
        # The programs are where they are on this machine.
        copy.write_text(text.replace("/opt/swarmkeeper/bin/", f"{Path(sys.executable).parent}/"))

        assert verified(copy) == ""
        copy.write_text(copy.read_text().replace("Restart=", "Restrat="))
        assert "Restrat" in verified(copy)
