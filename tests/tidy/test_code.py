"""Checks how the code is written, for rules that no linter has."""

import ast
import re
import sys
import tokenize
from pathlib import Path

from tests.counts import write_count
from tests.tidy import fences
from tests.tidy.tree import ROOT, SRC, files, imports, name_of, nodes, parsed

LINES_MAX = 600  # lines that a person can read in one sitting
MARKS = ("skip", "skipif", "xfail", "importorskip")


def comments(file: Path, saying: str) -> list[tuple[int, str]]:
    """Return line and text of each comment that matches this pattern."""
    if not re.search(saying, file.read_text(encoding="utf-8")):
        return []  # parsing a file costs a hundred times as much as searching it
    with tokenize.open(file) as lines:
        return [
            (token.start[0], token.string)
            for token in tokenize.generate_tokens(lines.readline)
            if token.type == tokenize.COMMENT and re.search(saying, token.string)
        ]


def test_no_file_is_longer_than_600_lines() -> None:
    lengths = {name_of(file): len(file.read_text(encoding="utf-8").splitlines()) for file in files(SRC, ".py", ".sql")}

    assert {name: length for name, length in lengths.items() if length > LINES_MAX} == {}


def test_every_silenced_type_error_names_its_code_and_its_reason() -> None:
    with_reason = re.compile(r"# type: ignore\[[a-z-]+(, ?[a-z-]+)*\]  # \S.{8,}")
    bare = [
        f"{name_of(file)}:{line}"
        for file in files(ROOT, ".py")
        for line, comment in comments(file, r"#\s*type:\s*ignore")
        if not with_reason.search(comment)
    ]
    write_count("type_ignores_without_reason", len(bare))

    assert bare == []


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    word = re.compile(rf"\b({'|'.join((*MARKS, 'SkipTest'))})\b")
    suspects = [file for file in files(ROOT / "tests", ".py") if word.search(file.read_text(encoding="utf-8"))]
    marked = [
        f"{name_of(file)}:{node.lineno}"
        for file in suspects
        for node in nodes(file)
        if isinstance(node, ast.Attribute) and node.attr in MARKS and is_from_a_test_library(node.value)
    ]
    imported = [
        f"{name_of(file)}:{line}"
        for file in suspects
        for line, module, names in imports(file)
        if module in ("pytest", "unittest") and set(names) & {*MARKS, "SkipTest"}
    ]

    assert marked + imported == []


def is_from_a_test_library(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in ("pytest", "unittest")


def test_the_source_contains_no_todo() -> None:
    left = [
        f"{name_of(file)}:{line}"
        for file in files(SRC, ".py")
        for line, _ in comments(file, r"\b(TODO|FIXME|XXX|HACK)\b")
    ]

    assert left == []


def test_every_source_file_says_what_it_is_for() -> None:
    silent = [name_of(file) for file in files(SRC, ".py") if not ast.get_docstring(parsed(file))]
    silent += [
        name_of(file) for file in files(SRC, ".sql") if not file.read_text(encoding="utf-8").lstrip().startswith("--")
    ]

    assert silent == []


def test_redacted_values_are_made_in_one_place() -> None:
    makers = {
        name_of(file)
        for file in files(SRC, ".py")
        for node in nodes(file)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == "Redacted")
            or (isinstance(node.func, ast.Attribute) and node.func.attr == "Redacted")
        )
    }

    assert makers <= {"src/swarmkeeper/govern/redaction/redactor.py"}


def test_the_core_needs_nothing_but_the_standard_library() -> None:
    foreign = [
        f"{name_of(file)}:{line}: {module}"
        for file in files(SRC / "core", ".py")
        for line, module, _ in imports(file)
        if module.split(".")[0] not in {*sys.stdlib_module_names, "swarmkeeper"}
    ]

    assert foreign == []


def test_no_package_imports_others_through_the_public_names() -> None:
    """`swarmkeeper/__init__.py` loads modules by name, which the import contracts cannot see."""
    detours = [
        f"{name_of(file)}:{line}: {', '.join(names)}"
        for file in files(SRC, ".py")
        for line, module, names in imports(file)
        if module == "swarmkeeper"
        and set(names) - {"__version__", "files", "loglines"}
        and not is_written_as_a_user_would(file)
    ]

    assert detours == []


def is_written_as_a_user_would(file: Path) -> bool:
    return file.relative_to(SRC).parts[0] in ("bots", "cli", "testing")


def test_files_are_written_in_one_place_so_that_each_is_private_and_whole() -> None:
    writers = [
        f"{name_of(file)}:{node.lineno}"
        for file in files(SRC, ".py")
        if file != SRC / "files.py"
        for node in nodes(file)
        if isinstance(node, ast.Call) and writes_a_file(node)
    ]

    assert writers == []


def writes_a_file(call: ast.Call) -> bool:
    """Return whether it writes to a file by name: `Path.write_text`, `open(…, "w")`, `os.open(…, os.O_CREAT)`, copy."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in ("write_text", "write_bytes", "touch", "copyfile", "copy2", "mkstemp", "NamedTemporaryFile"):
        return True
    if name != "open":
        return False
    flags = {node.attr for argument in call.args for node in ast.walk(argument) if isinstance(node, ast.Attribute)}
    modes = [argument.value for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
             if isinstance(argument, ast.Constant) and isinstance(argument.value, str)]  # fmt: skip
    return "O_CREAT" in flags or any(re.fullmatch(r"[rwaxbt+]*[wax+][rwaxbt+]*", mode) for mode in modes)


def test_the_tool_that_removes_fences_finds_some_in_each_of_its_files() -> None:
    assert {fence.file for fence in fences.fences()} == {*fences.SQL, *fences.CORE}
