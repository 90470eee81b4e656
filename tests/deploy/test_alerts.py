"""Alert rules and the dashboard ask for samples and labels that the server has, in PromQL that can be parsed."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser
import pytest
import yaml

from tests.observe.test_dashboard import DASHBOARD
from tests.tidy.tree import ROOT

RULES = ROOT / "deploy" / "helm" / "swarmkeeper" / "files" / "alerts.yaml"
OF_PROMETHEUS = {"instance", "job"}  # it gives each sample these labels
SEVERITIES = {"critical", "warning"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str]]:
    """Yield all queries, with the alert or panel that each belongs to."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            yield panel["title"], re.sub(r"\$__(rate_interval|range)", "5m", target["expr"])


def unknown(query: str, samples: Mapping[str, set[str]]) -> list[str]:
    """Return what the query asks for and the server does not have.

    Raises:
        ValueError: it is no PromQL.
    """
    names: set[str] = set()
    labels: set[str] = set()

    def look(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector) and node.name is not None:
            names.add(node.name)
            labels.update(matcher.name for matcher in node.matchers.matchers)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            labels.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(query), look)
    there = OF_PROMETHEUS.union(*(samples.get(name, set()) for name in names))
    return sorted(names - set(samples)) + sorted(labels - there)


def test_every_query_asks_for_samples_and_labels_that_exist(samples: Mapping[str, set[str]]) -> None:
    asked = dict(queries())

    assert len(asked) > 25
    assert {place: unknown(query, samples) for place, query in queries() if unknown(query, samples)} == {}


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("swarmkeeper_fault_total", ["swarmkeeper_fault_total"]),
        ('sum by (skill) (swarmkeeper_ready_items{kin="x"})', ["kin", "skill"]),
        ("swarmkeeper_batch_seconds", ["swarmkeeper_batch_seconds"]),
    ],
)
def test_a_query_for_what_does_not_exist_is_found(
    query: str, wrong: list[str], samples: Mapping[str, set[str]]
) -> None:
    assert unknown(query, samples) == wrong


def test_what_is_no_promql_is_found(samples: Mapping[str, set[str]]) -> None:
    with pytest.raises(ValueError, match=r"unclosed|parenthesis|brace"):
        unknown("sum(rate(swarmkeeper_commands_total[5m])", samples)


def test_every_alert_says_how_severe_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]

    assert len(set(names)) == len(names) > 5
    for rule in rules():
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in SEVERITIES
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["expr"].strip()


def test_the_prometheus_of_compose_reads_these_rules_and_the_key_that_is_made_for_it() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    config = yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus.yaml").read_text(encoding="utf-8"))
    volumes = dict(volume.split(":")[:2] for volume in compose["services"]["prometheus"]["volumes"])
    [job] = config["scrape_configs"]

    assert config["rule_files"] == [volumes[f"./{RULES.relative_to(ROOT)}"]]
    assert job["authorization"]["credentials_file"] == f"{volumes['keys']}/prometheus.key"
    assert "prometheus=operator" in compose["services"]["keys"]["command"]
    assert job["dns_sd_configs"] == [{"names": ["orchestrator"], "type": "A", "port": 7700}]
