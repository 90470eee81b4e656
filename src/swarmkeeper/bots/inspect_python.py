"""Measures Python files through their syntax trees: size, branches, what is not documented, what swallows errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from swarmkeeper.bots import files
from swarmkeeper.sdk.answers import Done, Failed
from swarmkeeper.sdk.bots import ExecutorBot
from swarmkeeper.sdk.context import Context
from swarmkeeper.sdk.runner import run
from swarmkeeper.wire.requests import SubTask

MARKER = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
FINDINGS_MAX = 20  # of one file: more of a kind says nothing new

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class InspectPython(ExecutorBot):
    """`{"root", "files"}` → `{"files": [{"file", "lines", "functions", …, "findings"}]}`."""

    skills = frozenset({"inspect.python"})
    dedicated = True
    capacity = 4

    # A plain function: it runs in a thread, and the heartbeats go on beside it.
    def execute(self, subtask: SubTask, context: Context) -> Done | Failed:
        try:
            root = files.root_of(subtask.input)
        except files.NotThere as error:
            return Failed(str(error), kind="not_retryable")
        names = subtask.input["files"]
        measured: list[dict[str, Any]] = []
        for name, content, text in files.each(root, names):
            measured.append({"file": name, "language": "python", "bytes": len(content), **measure(text)})
            context.progress(len(measured) / len(names), name)
        return Done({"files": measured})


def measure(text: str) -> dict[str, Any]:
    tree = files.parsed(text)
    nodes = list(ast.walk(tree)) if tree is not None else []
    handlers = [node for node in nodes if isinstance(node, ast.ExceptHandler)]
    bare = [handler for handler in handlers if handler.type is None]
    undocumented = list(_undocumented(tree)) if tree is not None else []
    findings = [
        *([] if tree is not None else [{"line": 1, "text": "is not Python that can be parsed"}]),
        *({"line": handler.lineno, "text": "a bare except swallows everything"} for handler in bare),
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
    """Ways that control may part here; handlers of exceptions are counted by the caller."""
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
