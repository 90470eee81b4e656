"""The files that the tidy tests check: the repository's own, without environments, caches and build results."""

import ast
import gc
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "swarmkeeper"

_OUTSIDE = frozenset(
    {".git", ".venv", ".venv-uv", ".venv-generator", ".venv-bots", "__pycache__", "node_modules", "build", "dist"}
    | {".swarmkeeper", ".venv-frameworks", ".venv-lowest", ".venv-browser", ".venv-node"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", ".pytest_counts", ".hypothesis", ".import_linter_cache"}
)


def files(folder: Path = ROOT, *suffixes: str) -> Iterator[Path]:
    """Yield the project's own files below `folder` in a stable order; with suffixes, only files with one of them."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _OUTSIDE)
        for name in sorted(set(names) - _OUTSIDE):  # in a worktree, .git is a file
            if not suffixes or name.endswith(suffixes):
                yield Path(where, name)


def name_of(file: Path) -> str:
    """Return the file's path relative to the repository."""
    return file.relative_to(ROOT).as_posix()


@cache
def parsed(file: Path) -> ast.Module:
    gc.disable()  # the collector would go through all trees, which are kept, again and again
    try:
        return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    finally:
        gc.freeze()
        gc.enable()


@cache
def nodes(file: Path) -> Sequence[ast.AST]:
    """Return all nodes of a file, as `ast.walk` gives them."""
    return tuple(ast.walk(parsed(file)))


def imports(file: Path) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Yield line, module and names of every import statement in a file, also inside functions."""
    for node in nodes(file):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{name_of(file)}:{node.lineno}: relative import"
            yield node.lineno, node.module, tuple(alias.name for alias in node.names)


def packages_loaded_by(code: str) -> set[str]:
    """Return the top-level packages that a new interpreter has loaded after running `code`."""
    ending = "\nimport sys as _sys; print(*sorted({_name.split('.')[0] for _name in _sys.modules}), file=_sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code + ending], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stderr.splitlines()[-1].split())
