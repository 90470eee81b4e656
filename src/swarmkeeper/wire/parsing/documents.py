"""Parses hand-written JSON, TOML and YAML files. Request bodies are parsed in strict.py.

YAML aliases and `<<` merges let a few lines expand to more than memory can hold. So the expanded size of a document
is limited, and it is computed without expanding it.
"""

from __future__ import annotations

import json
import math
import tomllib
from typing import Any

try:
    import yaml
except ModuleNotFoundError as error:  # swarmkeeper-sdk alone
    raise ModuleNotFoundError("swarm files need the extra `ai`, which brings PyYAML", name=error.name) from error

JSON_ENDINGS, YAML_ENDINGS, TOML_ENDINGS = (".json",), (".yaml", ".yml"), (".toml",)
ENDINGS = (*YAML_ENDINGS, *TOML_ENDINGS, *JSON_ENDINGS)
MIB = 1 << 20
# PyYAML parses about 100 kB a second. Longer files are written by programs, which can write JSON.
YAML_BYTES_MAX = MIB
BRACKETS_MAX = 200  # nesting depth
MERGES_MAX = 100  # mappings that one `<<` may copy
MERGED_MAX = 10_000  # entries of a mapping after its merges


class Unreadable(ValueError):
    """The document has a syntax error or is too large; the message says where."""


def parse(text: str, ending: str, *, size_max: int = 16 * MIB) -> object:
    """Parse `text` and return its value.

    Args:
        ending: the file name's extension in lower case, one of ENDINGS.
        size_max: approximate limit of its size as JSON, in bytes.

    Raises:
        Unreadable: it has a syntax error, is nested too deeply, or is larger than `size_max`.
    """
    try:
        plain = _parsed(text, ending)
        if _size(plain, {}) > size_max:
            raise Unreadable("it is too large, or it refers to itself")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        raise Unreadable(f"{where}{getattr(error, 'problem', None) or 'it cannot be parsed'}") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise Unreadable(str(error)) from None
    except Unreadable:
        raise
    except ValueError:  # an impossible date, or a number of thousands of digits
        raise Unreadable("a value cannot be parsed") from None
    return plain


def _parsed(text: str, ending: str) -> object:
    if ending in TOML_ENDINGS:
        return tomllib.loads(text)
    if ending in YAML_ENDINGS:
        if len(text) > YAML_BYTES_MAX:
            raise Unreadable("a YAML file may have at most 1 MiB; write it as JSON")
        return yaml.load(text, _Yaml)  # noqa: S506  # it is a safe loader
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise Unreadable(f"`{next(name for name in names if names.count(name) > 1)}` appears twice")
    return found


class _Yaml(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Refuses repeated keys, since the first would have no effect, and limits what `<<` may copy."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        names: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in names:
                raise yaml.MarkedYAMLError(problem=f"`{key.value}` appears twice", problem_mark=key.start_mark)
            names |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
        return node

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803  # PyYAML's name
        # PyYAML checks all open brackets for each token: a hundred thousand of them take minutes.
        if self.flow_level >= BRACKETS_MAX:
            raise RecursionError
        super().fetch_flow_collection_start(TokenClass)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        merged = [value for key, value in node.value if key.tag == "tag:yaml.org,2002:merge"]
        lists = [value for value in merged if isinstance(value, yaml.SequenceNode)]
        if any(len(node_list.value) > MERGES_MAX for node_list in lists):
            raise yaml.MarkedYAMLError(problem="`<<` copies too many mappings", problem_mark=node.start_mark)
        super().flatten_mapping(node)
        if merged and len(node.value) > MERGED_MAX:
            raise yaml.MarkedYAMLError(problem="`<<` copies too much", problem_mark=node.start_mark)


def _size(plain: object, known: dict[int, float]) -> float:
    """Estimate its bytes as JSON with all references expanded; infinite if it contains itself."""
    if isinstance(plain, str | bytes):
        return len(plain) + 3
    if not isinstance(plain, dict | list | set | tuple):
        return 4
    if id(plain) not in known:
        known[id(plain)] = math.inf
        parts = [*plain.keys(), *plain.values()] if isinstance(plain, dict) else plain
        known[id(plain)] = 2 + sum(_size(part, known) for part in parts)
    return known[id(plain)]
