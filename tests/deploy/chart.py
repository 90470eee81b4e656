"""The Helm chart, rendered without a cluster. `python -m tests.deploy.chart FOLDER` writes its variants there."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.tidy.tree import ROOT

CHART = ROOT / "deploy" / "helm" / "swarmkeeper"
Object = dict[str, Any]

COUNTER: Object = {
    "name": "counter",
    "image": "registry.example.org/counter:1",
    "key": {"secret": {"name": "counter-key", "key": "key"}},
}
SCALED: Object = {
    **COUNTER,
    "name": "scaled",
    "args": ["bot.py"],
    "env": [
        {"name": "MODEL", "value": "small"},
        {"name": "MODEL_API_KEY", "valueFrom": {"secretKeyRef": {"name": "model", "key": "key"}}},
    ],
    "scale": {"skills": ["text.count", 'a"b'], "kind": "execute", "min": 0, "max": 9, "itemsPerReplica": 5},
}
WATCHED: Object = {
    "serviceMonitor": {
        "enabled": True,
        "labels": {"release": "prometheus"},
        "key": {"secret": {"name": "metrics-key"}},
    },
    "prometheusRule": {"enabled": True},
}
SQLITE: Object = {
    "bots": [COUNTER, SCALED],
    "metrics": WATCHED,
    "orchestrator": {"settings": {"open_tasks": 20_000_000}},
}
POSTGRESQL: Object = {
    "store": {"kind": "postgresql", "postgresql": {"secret": {"name": "database"}}},
    "orchestrator": {
        "replicas": 3,
        "pepper": {"secret": {"name": "pepper", "key": "pepper"}},
        "auditKey": {"secret": {"name": "audit", "key": "key"}},
        "broker": {"secret": {"name": "broker", "key": "url"}},
        "stream": {"secret": {"name": "broker", "key": "url"}},
        "settings": {"lease_seconds": 60, "metrics_open": True, "public_url": "https://swarm.example.org"},
    },
    "bots": [{**COUNTER, "replicas": 0}, SCALED],
    "imagePullSecrets": ["pull"],
    "keda": {"authentication": "prometheus"},
    "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]},
}
VARIANTS: dict[str, Object] = {"default": {}, "sqlite": SQLITE, "postgresql": POSTGRESQL}


@dataclass(frozen=True)
class Rendered:
    objects: list[Object]
    notes: str

    def of(self, kind: str) -> list[Object]:
        return [found for found in self.objects if found["kind"] == kind]

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Yield the template of every pod, with the name of what it belongs to."""
        for found in self.objects:
            if "template" in found.get("spec", {}):
                yield found["metadata"]["name"], found["spec"]["template"]

    def orchestrator(self) -> Object:
        [pod] = [pod for name, pod in self.pods() if name == "demo-swarmkeeper"]
        return pod


def loaded() -> AbstractContextManager[Any]:
    """Return the chart. Helm's library starts threads when it is imported, which a fork would not have."""
    from helm_python.chart import Chart

    return Chart.load(CHART)


def rendered(values: Object) -> Rendered:
    """Render the chart.

    Raises:
        HelmValuesError: the schema refuses the values.
    """
    with loaded() as chart:
        texts = chart.render(values, name="demo", namespace="swarm")
    notes = "".join(text for name, text in texts.items() if name.endswith("NOTES.txt"))
    files = [text for name, text in texts.items() if not name.endswith("NOTES.txt")]
    return Rendered([found for text in files for found in yaml.safe_load_all(text) if found], notes)


def environment(container: Object) -> dict[str, str]:
    """Return the variables of a container that have their value in the pod."""
    return {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in VARIANTS.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump_all(rendered(values).objects), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
