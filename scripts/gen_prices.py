"""Writes the price table that ships, `src/swarmkeeper/swarm/prices.toml`, from the data of the package genai-prices.

Run it with the extra `ai` installed: `.venv/bin/python scripts/gen_prices.py`. Look at the difference, then commit.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parents[1] / "src" / "swarmkeeper" / "swarm" / "prices.toml"
# Providers whose model names people write in a swarm file, by the name that they have there.
PROVIDERS = {"anthropic": "anthropic", "openai": "openai", "google": "google", "mistral": "mistral", "x-ai": "xai"}
# Models that answer with something else than text, or are gone.
OTHERS = re.compile(
    r"image|audio|realtime|tts|transcribe|whisper|embed|moderation|davinci|curie|babbage|^ada$|live|ocr|voxtral|"
    r"claude-(v1|2|3)|gpt-3|gpt-4-|gpt-4$|^ft:|:|search|computer|rosalind|cyber|imagen|veo|lyria|aqa|robotics|gemini-(1|2\.0)|"
    r"\.ft-|palm|learnlm|^gemma|vision|mixtral|open-|saba|video|imagine|tier|deep-research|banana|gemini-(pro|flash)"
)
# Some providers sell the models of others: a name without its provider then has two prices, and is unpriced.
FAMILY = {"anthropic": "claude-", "google": "gemini-"}
FAMILIES = ("claude-", "gemini-", "deepseek-", "zai-")
FIELDS = (
    ("input", "input_mtok"),
    ("output", "output_mtok"),
    ("cache_read", "cache_read_mtok"),
    ("cache_write", "cache_write_mtok"),
)


def main() -> None:
    from genai_prices import data

    today = datetime.now(UTC).date()
    lines = [
        "# Prices of models in US dollars per million tokens. Written by scripts/gen_prices.py from the data of",
        f"# genai-prices {version('genai-prices')}. A file prices.toml beside the swarm file overrides any of them.",
        "# `long` are the prices of a request with more than `from` input tokens.",
        f"as_of = {today.isoformat()}",
    ]
    for provider in data.providers:
        if provider.id not in PROVIDERS:
            continue
        lines.append("")
        for model in provider.models:
            foreign = model.id.startswith(FAMILIES) and not model.id.startswith(FAMILY.get(provider.id, "?"))
            if OTHERS.search(model.id) or foreign:
                continue
            row = row_of(prices_at(model.prices, today))
            if row is not None:
                lines.append(f'models."{PROVIDERS[provider.id]}:{model.id}" = {row}')
    # It runs on the user's own machine: its price is known, and it is nothing.
    lines += ["", 'models."local" = { input = 0, output = 0 }']
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def prices_at(prices: Any, day: date) -> Any:
    """Return the prices that hold on a day."""
    if not isinstance(prices, list):
        return prices
    found = None
    for conditional in prices:
        constraint = conditional.constraint
        if constraint is None or (hasattr(constraint, "start_date") and constraint.start_date <= day):
            found = conditional.prices
    return found


def row_of(prices: Any) -> str | None:
    if prices is None or prices.input_mtok is None or prices.output_mtok is None:
        return None
    base: list[str] = []
    tiered: list[str] = []
    start = None
    for name, field in FIELDS:
        price = getattr(prices, field)
        if price is None:
            continue
        if hasattr(price, "base"):
            tier = price.tiers[-1]
            start = tier.start
            base.append(f"{name} = {price.base}")
            tiered.append(f"{name} = {tier.price}")
        else:
            base.append(f"{name} = {price}")
    if start is not None:
        base.append("long = { from = " + str(start) + ", " + ", ".join(tiered) + " }")
    return "{ " + ", ".join(base) + " }"


if __name__ == "__main__":
    main()
