"""The Dockerfile is linted and says what the documents promise; tests.deploy.images builds and runs it each night."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swarmkeeper import __version__
from swarmkeeper.server import serving
from swarmkeeper.settings import Settings
from tests.tidy.tree import ROOT

DOCKERFILE = ROOT / "Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")
CHECKS = ROOT / "deploy" / "container"


def linted(text: str) -> list[str]:
    """Return the rules that a Dockerfile breaks."""
    done = subprocess.run([HADOLINT, "--format", "json", "-"], input=text, capture_output=True, text=True, check=False)
    return [found["code"] for found in json.loads(done.stdout)]


def instructions(name: str) -> list[str]:
    """Return the arguments of every instruction of this name."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^{name} +(.+)$", text, re.MULTILINE)


def test_the_dockerfile_breaks_no_rule_of_the_linter() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")

    assert linted(text) == []
    assert "DL3002" in linted(text + "USER root\n")
    assert "DL3008" in linted(text + "RUN apt-get update && apt-get install -y curl\n")


def test_each_image_has_the_version_of_the_package() -> None:
    versions = re.findall(r'image\.version="(.+?)"', DOCKERFILE.read_text(encoding="utf-8"))

    assert versions == [__version__] * 2


def test_both_images_run_without_a_shell_as_a_user_that_kubernetes_knows_is_not_root() -> None:
    assert instructions("USER") == ["10001:10001"]
    for name in ("ENTRYPOINT", "CMD"):
        assert all(isinstance(json.loads(words), list) for words in instructions(name)), name
    checks = [words.partition("CMD ")[2] for words in instructions("HEALTHCHECK")]
    assert [Path(json.loads(words)[-1]).name for words in checks] == ["check_bot.py", "check_orchestrator.py"]
    assert instructions("FROM")[-2:] == ["user AS bot", "user AS orchestrator"]


def test_settings_of_the_image_are_settings() -> None:
    named = re.findall(r"SWARMKEEPER_([A-Z_]+)=", " ".join(instructions("ENV")))

    assert set(named) == {"HEALTH_FILE", "STORE", "HOST", "LOG_FORMAT"}
    Settings(store="sqlite:////data/store.db", host="0.0.0.0", log_format="json")


def test_the_tools_of_the_images_have_the_versions_that_developers_have() -> None:
    def versions(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        return dict(re.findall(r"^([a-z-]+)==(\S+)", text, re.MULTILINE))

    known = versions("uv") | versions("dev")

    assert versions("image") == {name: known[name] for name in ("uv", "uv-build")}


def test_only_what_is_named_reaches_a_build_and_that_is_what_it_copies() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    let_in = [line[1:] for line in lines if line.startswith("!")]
    copied = [word for words in instructions("COPY") if "--from" not in words for word in words.split()[:-1]]

    assert lines[0] == "*"
    assert [name for name in let_in if not (ROOT / name).exists()] == []
    for name in copied:
        assert name == "." or any(Path(name).is_relative_to(allowed) for allowed in let_in), name


# ---- health checks ---------------------------------------------------------------------------------------------------


def checked(name: str, **environment: str) -> int:
    """Run a check as in the container, and return its exit code."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SWARMKEEPER_")}
    program = [sys.executable, "-I", str(CHECKS / name)]
    return subprocess.run(program, env=clean | environment, timeout=30, check=False).returncode


async def test_the_orchestrator_is_healthy_while_it_answers_that_it_is_ready() -> None:
    async with serving(Settings(store="sqlite://:memory:", port=0, log_level="error")) as served:
        port = served.url.rpartition(":")[2]
        proxy = "http://127.0.0.1:1"  # nothing listens there
        assert await asyncio.to_thread(checked, "check_orchestrator.py", SWARMKEEPER_PORT=port, http_proxy=proxy) == 0
        served.swarm.engine.running = False
        assert await asyncio.to_thread(checked, "check_orchestrator.py", SWARMKEEPER_PORT=port) == 1
        served.swarm.engine.running = True

    assert await asyncio.to_thread(checked, "check_orchestrator.py", SWARMKEEPER_PORT=port) == 1


@pytest.mark.parametrize(
    ("content", "age", "code"),
    [
        ('{"status": "ok"}', 0, 0),
        ('{"status": "unreachable"}', 0, 0),
        ('{"status": "stuck"}', 0, 1),
        ('{"status": "ok"}', 61, 1),
        ('{"status"', 0, 1),
        ("[]", 0, 1),
        (None, 0, 1),
    ],
)
def test_a_bot_is_healthy_while_its_file_is_recent_and_it_is_not_stuck(
    tmp_path: Path, content: str | None, age: int, code: int
) -> None:
    file = tmp_path / "health"
    if content is not None:
        file.write_text(content)
        os.utime(file, (time.time() - age,) * 2)

    assert checked("check_bot.py", SWARMKEEPER_HEALTH_FILE=str(file)) == code
