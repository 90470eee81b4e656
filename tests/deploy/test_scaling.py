"""The chart scales a bot by metrics that the server has."""

import re
from collections.abc import Callable, Mapping

import promql_parser

from tests.deploy.chart import POSTGRESQL, SQLITE, rendered
from tests.deploy.test_alerts import unknown


def matcher(query: str, name: str) -> Callable[[str], bool]:
    """Return whether a query takes a sample with this value of a label."""
    found: list[str] = []

    def look(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.extend(each.value for each in node.matchers.matchers if each.name == name)

    promql_parser.walk(promql_parser.parse(query), look)
    [pattern] = found
    return lambda value: re.fullmatch(pattern, value) is not None


async def test_a_bot_is_scaled_by_the_work_that_waits_for_its_skills(samples: Mapping[str, set[str]]) -> None:
    [scaled] = rendered(SQLITE).of("ScaledObject")
    [trigger] = scaled["spec"]["triggers"]
    query = trigger["metadata"]["query"]
    takes = matcher(query, "skills")

    assert scaled["spec"]["scaleTargetRef"] == {"name": "demo-swarmkeeper-bot-scaled"}
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (0, 9)
    assert trigger["metadata"]["threshold"] == "5"
    assert unknown(query, samples) == ["namespace"]  # the Prometheus operator adds it
    assert [takes(skills) for skills in ("text.count", "a,text.count", "text.count,z", 'a"b')] == [True] * 4
    assert [takes(skills) for skills in ("text.counter", "textXcount", "my.text.count", "")] == [False] * 4
    [deployment] = [each for each in rendered(SQLITE).of("Deployment") if each["metadata"]["name"].endswith("-scaled")]
    assert "replicas" not in deployment["spec"]


def test_the_scaler_asks_prometheus_with_the_authentication_that_the_values_name() -> None:
    [scaled] = rendered(POSTGRESQL).of("ScaledObject")
    [plain] = rendered(SQLITE).of("ScaledObject")

    assert scaled["spec"]["triggers"][0]["authenticationRef"] == {"name": "prometheus"}
    assert "authenticationRef" not in plain["spec"]["triggers"][0]
