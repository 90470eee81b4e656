"""Prices of models: what a request costs, and that an unknown price is never 0."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.agents.caps import ModelUsage
from swarmkeeper.ai.asking import CachedUsage
from swarmkeeper.swarm import prices
from swarmkeeper.swarm.prices import BadPrices, ModelPrice, PriceTable, cost_micro_usd

counts = st.integers(0, 10**7)


@dataclass
class Use:
    input_tokens: int
    output_tokens: int


def test_a_request_costs_what_the_table_says_for_a_million_tokens() -> None:
    assert cost_micro_usd("openai:gpt-5.2", Use(1_000_000, 0)) == 1_750_000
    assert cost_micro_usd("anthropic:claude-opus-4-5", ModelUsage(1, 1000, 100)) == 1000 * 5 + 100 * 25


def test_a_fraction_of_a_micro_dollar_is_rounded_up() -> None:
    assert cost_micro_usd("openai:gpt-5-nano", Use(1, 0)) == 1


@pytest.mark.parametrize("model", [None, "", "openai:gpt-99", "mine", "http://localhost/v1#gpt-5.2"])
def test_an_unknown_model_is_unpriced_and_not_free(model: str | None) -> None:
    assert cost_micro_usd(model, Use(1000, 1000)) is None


def test_the_dated_name_that_a_provider_answers_with_has_the_price_of_the_model() -> None:
    for name in (
        "claude-sonnet-4-5-20250929",
        "anthropic:claude-sonnet-4-5",
        "claude-sonnet-4-5",
        "claude-sonnet-4-5@20250929",
    ):
        assert cost_micro_usd(name, Use(1000, 0)) == 3000


def test_a_name_that_two_providers_sell_at_two_prices_is_unpriced_without_its_provider() -> None:
    table = PriceTable({"a:m": ModelPrice(Decimal(1), Decimal(1)), "b:m": ModelPrice(Decimal(2), Decimal(2))})

    assert table.price("m") is None
    assert table.cost_micro_usd("b:m", Use(10, 0)) == 20


def test_what_the_providers_cache_had_costs_less_and_a_long_request_more() -> None:
    cached = CachedUsage(1, 1000, 0, "anthropic:claude-opus-4-5", cache_read_tokens=1000)
    assert cost_micro_usd(cached.model, cached) == 500
    assert cost_micro_usd("anthropic:claude-sonnet-4-5", Use(200_000, 0)) == 600_000
    assert cost_micro_usd("anthropic:claude-sonnet-4-5", Use(200_001, 0)) == 200_001 * 6


@given(counts, counts, counts, counts)
def test_a_price_is_never_negative_and_more_tokens_never_cost_less(told: int, out: int, read: int, write: int) -> None:
    price = ModelPrice(Decimal("1.25"), Decimal(10), Decimal("0.125"), Decimal("1.5"))
    used = CachedUsage(1, told, out, None, read, write)

    assert 0 <= price.micro_usd(used) <= price.micro_usd(CachedUsage(1, told, out + 1, None, read, write))


def test_a_file_beside_the_swarm_file_overrides_and_adds(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(
        'models."openai:gpt-5.2" = { input = 1, output = 2.5 }\n'
        'models."http://localhost/v1#m" = { input = 0, output = 0 }\n'
    )

    table = prices.beside(tmp_path)

    assert table.cost_micro_usd("openai:gpt-5.2", Use(10, 10)) == 35
    assert table.cost_micro_usd("http://localhost/v1#m", Use(10, 10)) == 0
    assert table.cost_micro_usd("openai:gpt-5", Use(1_000_000, 0)) == 1_250_000
    assert table.as_of == prices.shipped().as_of


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "no field `x`"),
        ('models."a:b" = 3', 'models."a:b" is a table'),
        ('models."a:b" = { input = 1 }', "output is missing"),
        ('models."a:b" = { input = -1, output = 1 }', "is a price of 0 to"),
        ('models."a:b" = { input = nan, output = 1 }', "is a price of 0 to"),
        ('models."a:b" = { input = true, output = 1 }', "is a number of US dollars"),
        ('models."a:b" = { input = 1, output = 1, cached = 1 }', "no field `cached`"),
        ('models."a:b" = { input = 1, output = 1, long = { input = 1, output = 1 } }', "long.from"),
        ('as_of = "today"', "as_of is a date"),
        ("models = [", "is not TOML"),
    ],
)
def test_a_table_that_cannot_be_used_says_where(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "prices.toml").write_text(text)

    with pytest.raises(BadPrices) as caught:
        prices.beside(tmp_path)

    assert said in str(caught.value)
    assert str(caught.value).startswith("prices.toml: ")


def test_the_table_that_ships_is_dated_and_has_no_free_model_but_the_local_one() -> None:
    table = prices.shipped()

    assert table.as_of is not None
    assert [name for name, price in table.models.items() if price.output == 0] == ["local"]
