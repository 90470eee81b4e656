"""Measures Python files by their syntax trees: size, branches, missing docstrings, bare excepts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from swarmkeeper.bots import files
from swarmkeeper.bots.file_bot import FileBot
from swarmkeeper.bots.files import MARKER
from swarmkeeper.sdk.runner import run

FINDINGS_MAX = 20  # in one file: more add nothing

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class InspectPython(FileBot):
    """`{"root", "files"}` → `{"files": [{"file", "lines", "functions", …, "findings"}]}`."""

    skills = frozenset({"inspect.python"})
    capacity = 4

    def examine(self, content: bytes, text: str) -> dict[str, Any]:
        return {"language": "python", "bytes": len(content), **measure(text)}


def measure(text: str) -> dict[str, Any]:
    tree = files.parsed(text)
    nodes = list(ast.walk(tree)) if tree is not None else []
    handlers = [node for node in nodes if isinstance(node, ast.ExceptHandler)]
    bare = [handler for handler in handlers if handler.type is None]
    undocumented = list(_undocumented(tree)) if tree is not None else []
    findings = [
        *([] if tree is not None else [{"line": 1, "text": "is not valid Python"}]),
        *({"line": handler.lineno, "text": "a bare except catches everything"} for handler in bare),
        *({"line": node.lineno, "text": f"{node.name} is public and not documented"} for node in undocumented),
    ]
    return {
        "lines": len(text.splitlines()),
        "functions": sum(isinstance(node, _Function) for node in nodes),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
        "branches": len(handlers) + sum(_branches(node) for node in nodes),
        "undocumented": len(undocumented),
        "bare_excepts": len(bare),
        "markers": len(MARKER.findall(text)),
        "findings": findings[:FINDINGS_MAX],
    }


def _branches(node: ast.AST) -> int:
    """Count the branches of control here; the caller counts exception handlers."""
    if isinstance(node, ast.comprehension):
        return len(node.ifs)
    return int(isinstance(node, ast.If | ast.IfExp | ast.For | ast.AsyncFor | ast.While | ast.match_case))


def _undocumented(tree: ast.Module) -> Iterator[_Function | ast.ClassDef]:
    """Public functions and classes of the module, and public methods of public classes, without a docstring."""
    waiting: list[ast.stmt] = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, _Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node, clean=False) is None:
            yield node
        if isinstance(node, ast.ClassDef):
            waiting += reversed(node.body)


if __name__ == "__main__":
    run(InspectPython())
