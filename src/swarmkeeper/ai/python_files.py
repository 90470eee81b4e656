"""Loads `python:FILE.py:NAME`: a function, a model or an agent of the user's own files, inside one folder."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import threading
from pathlib import Path
from typing import Any

from swarmkeeper.sdk.processes.loading import loading

_lock = threading.Lock()  # a file is loaded once, also when several bots ask for it


class CannotLoad(ValueError):
    """What a name stands for cannot be loaded; the message says why."""


def loaded(name: str, folder: Path) -> Any:
    """Return what `python:FILE.py:NAME` names. The file is loaded once in a process.

    Args:
        folder: what FILE is relative to; it must be inside.

    Raises:
        CannotLoad: the file or the name does not exist, is outside the folder, or the file cannot be loaded.
    """
    kind, _, rest = name.partition(":")
    written, _, attribute = rest.rpartition(":")
    if kind != "python" or not written or not attribute:
        raise CannotLoad(f"{name} is not python:FILE.py:NAME")
    file = inside(written, folder, name)
    if not file.is_file():
        raise CannotLoad(f"{name}: there is no file {written}")
    module = _module(file, name)
    if not hasattr(module, attribute):
        raise CannotLoad(f"{name}: {written} has no {attribute}")
    return getattr(module, attribute)


def inside(written: str, folder: Path, name: str) -> Path:
    """Return the path of a file of a folder.

    Raises:
        CannotLoad: it is outside, also by a link.
    """
    root = folder.resolve()
    file = (root / written).resolve()
    if not file.is_relative_to(root):
        raise CannotLoad(f"{name}: the file is outside the folder of the swarm file")
    return file


def _module(file: Path, name: str) -> Any:
    # A name of its own: two swarms may both have a tools.py.
    called = f"swarmkeeper_file_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}"
    with _lock:
        if called in sys.modules:
            return sys.modules[called]
        spec = importlib.util.spec_from_file_location(called, file)
        assert spec is not None, "a .py file has a loader"
        assert spec.loader is not None, "a .py file has a loader"
        module = importlib.util.module_from_spec(spec)
        sys.modules[called] = module  # dataclasses look for their module while it is loaded
        try:
            with loading():
                spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[called]
            raise CannotLoad(f"{name}: the file cannot be loaded: {type(error).__name__}: {error}") from error
        except BaseException:
            del sys.modules[called]
            raise
        return module
