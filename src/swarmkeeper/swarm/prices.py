"""What a model's tokens cost: a dated table that ships, and `prices.toml` beside the swarm file, which overrides it.

An unknown price is None, which means unpriced. It is never 0: a budget would not see what such a model costs.
"""

from __future__ import annotations

import math
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Protocol

SHIPPED = Path(__file__).parent / "prices.toml"
OVERRIDES = "prices.toml"  # its name beside the swarm file
_BYTES_MAX = 1 << 20
_USD_MAX = Decimal(100_000)  # per million tokens; more is a typo
_FIELDS = ("input", "output", "cache_read", "cache_write")
# Providers answer with the name of a dated version of the model that was asked for.
_DATED = re.compile(r"(?:[-@](?:\d{8}|\d{4}-\d{2}-\d{2})|-latest)$")


class BadPrices(ValueError):
    """A price table cannot be used; the message says where it is wrong."""


class TokenUse(Protocol):
    """What one request has used. `cache_read_tokens` and `cache_write_tokens`, if there, are part of the input."""

    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """Prices of one model in US dollars per million tokens.

    Attributes:
        cache_read: of input that the provider had in its cache; None: as other input.
        cache_write: of input that the provider puts into its cache; None: as other input.
        long: the prices of a request with more than `long_from` input tokens; None: the same.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    long_from: int = 0
    long: ModelPrice | None = None

    def micro_usd(self, use: TokenUse) -> int:
        """Return the price of one request, rounded up to whole micro-USD."""
        given = max(use.input_tokens, 0)
        if self.long is not None and given > self.long_from:
            return self.long.micro_usd(use)
        read = min(max(getattr(use, "cache_read_tokens", 0) or 0, 0), given)
        write = min(max(getattr(use, "cache_write_tokens", 0) or 0, 0), given - read)
        total = (
            (given - read - write) * self.input
            + read * (self.input if self.cache_read is None else self.cache_read)
            + write * (self.input if self.cache_write is None else self.cache_write)
            + max(use.output_tokens, 0) * self.output
        )
        return math.ceil(total)  # USD for a million tokens are micro-USD for one


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by model (`provider:name`), and the day for which they were written down."""

    models: Mapping[str, ModelPrice]
    as_of: date | None = None

    def price(self, model: str | None) -> ModelPrice | None:
        """Return the price of a model; None: it is unknown.

        Args:
            model: `provider:name`, or the name alone if only one provider has it. A date at its end is left out
                where the table has no price for that date.
        """
        if not model:
            return None
        for name in dict.fromkeys((model, _DATED.sub("", model))):
            if name in self.models:
                return self.models[name]
            found = {price for known, price in self.models.items() if known.partition(":")[2] == name}
            if len(found) == 1:
                return found.pop()
        return None

    def cost_micro_usd(self, model: str | None, use: TokenUse) -> int | None:
        """Return the price of one request in micro-USD; None: the model is unpriced."""
        price = self.price(model)
        return None if price is None else price.micro_usd(use)

    def overridden(self, other: PriceTable) -> PriceTable:
        """Return this table with the other's prices in place of its own."""
        return PriceTable({**self.models, **other.models}, self.as_of)


def cost_micro_usd(model: str | None, usage: TokenUse, prices: PriceTable | None = None) -> int | None:
    """Return the price of one request in micro-USD, rounded up; None: the model is unpriced.

    Args:
        model: `provider:name`, or what the provider calls it.
        prices: None: the table that ships.
    """
    return (shipped() if prices is None else prices).cost_micro_usd(model, usage)


@cache
def shipped() -> PriceTable:
    """Return the table that ships."""
    return read(SHIPPED)


def beside(folder: Path) -> PriceTable:
    """Return the table that ships, overridden by `prices.toml` in this folder if there is one.

    Raises:
        BadPrices: that file cannot be used.
    """
    file = folder / OVERRIDES
    return shipped().overridden(read(file)) if file.exists() else shipped()


def read(file: Path) -> PriceTable:
    """Read a price table.

    Raises:
        BadPrices: it cannot be used; the message names the file and the place.
    """
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # reading a pipe would wait for its writer
            raise BadPrices(f"{file.name}: is no plain file")
        raw = file.read_bytes()
        if len(raw) > _BYTES_MAX:
            raise BadPrices(f"{file.name}: is longer than 1 MiB")
        plain = tomllib.loads(raw.decode(), parse_float=Decimal)
    except OSError as error:
        raise BadPrices(f"{file.name}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BadPrices(f"{file.name}: is not TOML: {error}") from None
    try:
        return _table(plain)
    except BadPrices as error:
        raise BadPrices(f"{file.name}: {error}") from None


def _table(plain: dict[str, Any]) -> PriceTable:
    if unknown := plain.keys() - {"as_of", "models"}:
        raise BadPrices(f"there is no field `{min(unknown)}`; a table has `as_of` and `models`")
    as_of = plain.get("as_of")
    if as_of is not None and type(as_of) is not date:
        raise BadPrices("as_of is a date, such as 2026-11-27")
    models = plain.get("models", {})
    if not isinstance(models, dict):
        raise BadPrices('models is a table: models."openai:gpt-5.2" = { input = 1.75, output = 14 }')
    return PriceTable({name: _price(row, f'models."{name}"') for name, row in models.items()}, as_of)


def _price(row: object, at: str, *, is_long: bool = False) -> ModelPrice:
    if not isinstance(row, dict):
        raise BadPrices(f"{at} is a table: {{ input = 1.75, output = 14 }}; a name with dots or colons is quoted")
    known = {*_FIELDS, "from" if is_long else "long"}
    if unknown := row.keys() - known:
        raise BadPrices(f"{at} has no field `{min(unknown)}`; it has {', '.join(sorted(known))}")
    if missing := {"input", "output"} - row.keys():
        raise BadPrices(f"{at}.{min(missing)} is missing")
    prices: dict[str, Any] = {name: _usd(row[name], f"{at}.{name}") for name in _FIELDS if name in row}
    if "long" not in row:
        return ModelPrice(**prices)
    inner = row["long"]
    long = _price(inner, f"{at}.long", is_long=True)
    start = inner.get("from")
    if isinstance(start, bool) or not isinstance(start, int) or start < 1:
        raise BadPrices(f"{at}.long.from is a number of tokens of at least 1")
    return ModelPrice(**prices, long_from=start, long=long)


def _usd(value: object, at: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadPrices(f"{at} is a number of US dollars per million tokens")
    price = Decimal(value)
    if not price.is_finite() or not 0 <= price <= _USD_MAX:
        raise BadPrices(f"{at} is a price of 0 to {_USD_MAX:,} US dollars per million tokens")
    return price
