"""Changes a record of a reported commit, for tests that the simulator's checks find it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from swarmkeeper.core.ports import Changes


def altered(
    saved: Sequence[Changes], field: str, which: Callable[[Any], bool] = lambda record: True, **changed: Any
) -> bool:
    """Change the first such record in this field of the commit. A value may be a function of the record.

    Return whether there was one.
    """
    for changes in saved:
        records = getattr(changes, field)
        for key, record in records.items() if isinstance(records, dict) else enumerate(records):
            if record is not None and which(record):
                values = {name: value(record) if callable(value) else value for name, value in changed.items()}
                copied = dict(records) if isinstance(records, dict) else list(records)
                copied[key] = replace(record, **values)
                setattr(changes, field, copied)
                return True
    return False
