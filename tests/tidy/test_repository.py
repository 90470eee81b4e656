"""Checks the repository as a whole: its texts, its locks, and that documented commands exist."""

import json
import re
import tomllib

import yaml

import swarmkeeper
from tests.tidy.tree import ROOT, files, name_of

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# In pieces, so that this file can be searched, too.
NOT_OURS = re.compile(
    "|".join(
        (
            "/" + "work/(main|helpers|shared)",
            "/" + r"root/",
            "/" + "opt/(wheels|pypi)",
            "shared" + "/design",
            "pypi" + r"\.org",
            "python" + "hosted",
            "registry" + r"\.npmjs",
        )
    )
)
NAME = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*")


def normal(requirement: str) -> str:
    found = NAME.match(requirement.lower().replace("_", "-"))
    assert found, requirement
    return found.group()


def group(name: str) -> set[str]:
    """Return the requirements of a dependency group, those of groups that it includes as well."""
    found: set[str] = set()
    for each in PROJECT["dependency-groups"][name]:
        found |= {each} if isinstance(each, str) else group(each["include-group"])
    return found


def locked(file: str) -> dict[str, str]:
    """Return name and whole entry of everything that a lock pins."""
    text = (ROOT / "requirements" / file).read_text(encoding="utf-8").replace("\\\n", " ")
    return {normal(line): line for line in text.splitlines() if line and not line.startswith("#")}


def test_no_file_names_the_machine_where_it_was_written() -> None:
    found = []
    for file in files(ROOT):
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name_of(file)}:{text.count(chr(10), 0, hit.start()) + 1}" for hit in NOT_OURS.finditer(text)]

    assert found == []


def test_every_lock_pins_one_version_by_hash_and_names_no_address() -> None:
    for file in sorted((ROOT / "requirements").glob("*.txt")):
        assert "://" not in file.read_text(encoding="utf-8"), name_of(file)
        for entry in locked(file.name).values():
            assert re.match(r"\S+==\S+ ", entry), entry
            assert "--hash=sha256:" in entry, entry


def test_the_lock_of_the_dashboard_pins_by_hash_and_names_no_address() -> None:
    """`make lock` takes out the addresses that npm writes."""
    text = (ROOT / "dashboard" / "package-lock.json").read_text(encoding="utf-8")
    packages = {name: package for name, package in json.loads(text)["packages"].items() if name}

    assert "://" not in text
    assert packages
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []


def test_the_locks_contain_all_dependencies_of_the_project() -> None:
    runtime = {normal(requirement) for requirement in PROJECT["project"]["dependencies"]}
    dev = {normal(requirement) for requirement in group("dev")}

    assert runtime <= set(locked("runtime.txt"))
    assert runtime | dev <= set(locked("dev.txt"))


def test_developers_run_the_versions_that_users_get() -> None:
    dev = locked("dev.txt")

    differing = [name for name, entry in locked("runtime.txt").items() if dev[name].split()[0] != entry.split()[0]]

    assert differing == []


def test_bots_are_tested_with_the_newest_and_the_lowest_versions_that_they_may_have() -> None:
    text = (ROOT / "packages" / "sdk" / "pyproject.toml").read_text(encoding="utf-8")
    needs = tomllib.loads(text)["project"]["dependencies"]
    newest, dev = locked("bots.txt"), locked("dev.txt")
    lowest = (ROOT / "requirements" / "bots-lowest.txt").read_text(encoding="utf-8")

    assert [name for name, entry in newest.items() if dev[name].split()[0] != entry.split()[0]] == []
    assert {normal(need) for need in needs} <= set(newest)
    for need in needs:
        name, bound = re.match(r"([a-z-]+)>=([\d.]+)", need).groups()  # type: ignore[union-attr]  # fails if there is none
        assert re.search(rf"^{name}=={re.escape(bound)}(\.0)* ", lowest, re.MULTILINE), need


def test_the_build_backend_is_the_one_that_is_locked() -> None:
    (required,) = PROJECT["build-system"]["requires"]

    assert normal(required) == "uv-build"
    assert required.replace("_", "-") in group("dev")


def test_package_project_and_changelog_name_the_same_version() -> None:
    assert swarmkeeper.__version__ == PROJECT["project"]["version"]
    assert f"## {swarmkeeper.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_make_target_that_is_documented_exists_and_explains_itself() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    explained = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    declared = set(re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)[0].split())
    documented = {
        target
        for file in (*ROOT.glob("*.md"), *files(ROOT / "docs", ".md"), ROOT / ".ci" / "run")
        for target in re.findall(
            r"(?:`|^\s*\$? ?)make ([a-z][a-z-]*)", file.read_text(encoding="utf-8"), flags=re.MULTILINE
        )
    }

    assert explained == declared
    assert documented
    assert documented <= explained


def test_continuous_integration_runs_the_commands_of_the_readme() -> None:
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "part tests make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_hooks_run_the_tools_that_are_installed_and_fetch_nothing() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    hooks = [hook for repository in repositories for hook in repository["hooks"]]

    assert [repository["repo"] for repository in repositories] == ["local"]
    assert {hook["language"] for hook in hooks} == {"system"}
    tools = [hook["entry"].split()[0] for hook in hooks if hook["entry"].startswith(".venv/")]
    assert tools
    assert [tool for tool in tools if tool not in ci] == []


def test_the_newest_minor_version_gets_fixes() -> None:
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")

    supported = re.findall(r"^\| (\d+\.\d+)\.x \| yes \|$", security, re.MULTILINE)

    assert supported == [swarmkeeper.__version__.rpartition(".")[0]]
