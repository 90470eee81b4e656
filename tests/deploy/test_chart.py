"""The Helm chart: linted, rendered, its objects held against the schemas of Kubernetes, bad values refused.

It has never run in a cluster.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pytest
import yaml

from swarmkeeper import __version__
from swarmkeeper.sdk.runner import DRAIN_SECONDS
from swarmkeeper.settings import BY_NAME, Settings, read
from tests.deploy.chart import (
    CHART,
    COUNTER,
    POSTGRESQL,
    SCALED,
    SQLITE,
    VARIANTS,
    Object,
    environment,
    loaded,
    rendered,
)
from tests.deploy.test_alerts import RULES
from tests.docs.blocks import blocks_of
from tests.tidy.tree import ROOT

OLDEST, NEWEST = "1.30", "1.37"  # versions of Kubernetes; the oldest is the chart's kubeVersion
# Defined by the operators that the values name: their schemas are no part of Kubernetes.
OF_OPERATORS = {"ScaledObject": "keda.sh/v1alpha1"} | dict.fromkeys(
    ("ServiceMonitor", "PrometheusRule"), "monitoring.coreos.com/v1"
)
WARNING = 2  # of helm lint; below it are hints
# Settings that the chart sets itself or that are secrets.
NOT_IN_VALUES = {
    *("store", "host", "port", "stop_seconds", "url", "api_key", "api_key_file", "token", "token_file"),
    *("insecure", "tls_cert", "tls_key"),
    *("bootstrap_key", "bootstrap_key_file", "pepper", "pepper_file"),
    *("broker", "stream", "audit_key_file"),  # the URL may have a password
}


@pytest.mark.parametrize("name", VARIANTS)
def test_helm_lint_finds_nothing(name: str) -> None:
    from helm_python.chart import lint  # here, as in `loaded`

    found = lint(CHART, VARIANTS[name], strict=True)

    assert [message for message in found["messages"] if message["severity"] >= WARNING] == []
    assert found["errors"] == []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_object_is_valid_for_kubernetes(name: str, version: str) -> None:
    objects = rendered(VARIANTS[name]).objects

    assert len(objects) >= 4
    for found in objects:
        if OF_OPERATORS.get(found["kind"]) != found["apiVersion"]:
            kubernetes_validate.validate(found, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    [service] = rendered({}).of("Service")
    service["spec"]["selectors"] = service["spec"].pop("selector")

    with pytest.raises(kubernetes_validate.ValidationError, match="selectors"):
        kubernetes_validate.validate(service, NEWEST, strict=True)


def test_versions_of_chart_server_and_kubernetes_agree() -> None:
    with loaded() as chart:
        metadata = chart.metadata

    assert metadata["version"] == metadata["appVersion"] == __version__
    assert metadata["kubeVersion"] == f">={OLDEST}.0-0"


# ---- what the schema of values refuses -------------------------------------------------------------------------------


def changed(values: Object, path: str, value: Any) -> Object:
    """Return a copy of the values with another value at a path like `orchestrator/replicas`."""
    copied = copy.deepcopy(values)
    at: Any = copied
    *folders, last = path.split("/")
    for name in folders:
        at = at[int(name)] if isinstance(at, list) else at.setdefault(name, {})
    at[last] = value
    return copied


@pytest.mark.parametrize(
    ("values", "path", "value", "says"),
    [
        ({}, "orchestrator/replicas", 2, "/orchestrator/replicas"),
        ({}, "orchestrator/replicas", 0, "/orchestrator/replicas"),
        ({}, "orchestrator/replica", 1, "replica"),
        ({}, "store/kind", "postgresql", "/store/postgresql/secret/name"),
        ({}, "store/kind", "mysql", "/store/kind"),
        ({}, "store/postgresql/url", "postgresql://u:p@host/db", "url"),
        ({}, "orchestrator/firstKey/secret/name", "", "/orchestrator/firstKey/secret/name"),
        ({}, "orchestrator/settings/pepper", "hot", "pepper"),
        ({}, "orchestrator/settings/broker", "nats://u:p@host", "broker"),
        ({}, "orchestrator/broker/url", "nats://u:p@host", "url"),
        ({}, "orchestrator/settings/lease_second", 1, "lease_second"),
        ({}, "image/digest", "sha256:12", "/image/digest"),
        ({}, "metrics/serviceMonitor/enabled", True, "/metrics/serviceMonitor/key/secret/name"),
        ({"bots": [COUNTER]}, "bots/0/key", "swk_secret", "/bots/0/key"),
        ({"bots": [COUNTER]}, "bots/0/env", [{"name": "OPENAI_API_KEY", "value": "sk-1"}], "/bots/0/env/0"),
        ({"bots": [COUNTER]}, "bots/0/env", [{"name": "SWARMKEEPER_URL", "value": "http://x"}], "/bots/0/env/0/name"),
        ({"bots": [SCALED]}, "bots/0/replicas", 3, "/bots/0"),
        ({"bots": [SCALED]}, "bots/0/scale/skills", [], "/bots/0/scale/skills"),
    ],
)
def test_values_that_would_not_work_or_hold_a_secret_are_refused_with_their_place(
    values: Object, path: str, value: Any, says: str
) -> None:
    rendered(values)

    from helm_python import HelmValuesError  # here, as in `loaded`

    with pytest.raises(HelmValuesError) as refused:
        rendered(changed(values, path, value))

    assert says in str(refused.value).replace(".", "/")


def test_the_values_that_the_guide_shows_are_accepted() -> None:
    shown = [
        block.code for block in blocks_of(ROOT / "docs" / "guides" / "run-on-kubernetes.md") if block.language == "yaml"
    ]

    assert len(shown) == 3
    for text in shown:
        assert rendered(yaml.safe_load(text)).orchestrator()


def test_every_setting_can_be_set_but_secrets_and_what_the_chart_sets() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    named = schema["properties"]["orchestrator"]["properties"]["settings"]["properties"]

    assert set(named) == set(BY_NAME) - NOT_IN_VALUES, "values.schema.json names the settings of the server"


# ---- pods ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
def test_every_pod_keeps_to_the_profile_restricted_with_a_read_only_root(name: str) -> None:
    pods = dict(rendered(VARIANTS[name]).pods())

    assert "demo-swarmkeeper" in pods
    for pod in pods.values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert [volume for volume in spec["volumes"] if "hostPath" in volume] == []
        for container in spec["containers"] + spec.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


@pytest.mark.parametrize("name", VARIANTS)
def test_secrets_are_named_and_never_written(name: str) -> None:
    found = rendered(VARIANTS[name])

    assert found.of("Secret") == found.of("ConfigMap") == []
    for _, pod in found.pods():
        for volume in pod["spec"]["volumes"]:
            # The server refuses a file that everyone may read; the group of the volume is the pod's own.
            assert volume.get("secret", {"defaultMode": 0o440})["defaultMode"] == 0o440


@pytest.mark.parametrize("name", VARIANTS)
def test_the_server_understands_its_variables(name: str) -> None:
    container = rendered(VARIANTS[name]).orchestrator()["spec"]["containers"][0]
    variables = environment(container) | {"SWARMKEEPER_STORE": "sqlite:////data/store.db"}
    settings = read(environ=variables).settings

    assert {variable.removeprefix("SWARMKEEPER_").lower() for variable in variables} <= set(BY_NAME)
    assert (settings.host, settings.port) == ("0.0.0.0", container["ports"][0]["containerPort"])
    for setting, value in VARIANTS[name].get("orchestrator", {}).get("settings", {}).items():
        assert getattr(settings, setting) == value
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    for file in filter(None, (settings.bootstrap_key_file, settings.pepper_file, settings.audit_key_file)):
        assert file.rpartition("/")[0] in mounts
    volumes = rendered(VARIANTS[name]).orchestrator()["spec"]["volumes"]
    assert [volume["secret"].get("optional") for volume in volumes if volume["name"] == "first-key"] == [True]


def test_nothing_is_killed_while_it_finishes_its_work() -> None:
    found = rendered({**SQLITE, "orchestrator": {"stopSeconds": 60}})
    server = found.orchestrator()["spec"]
    sleep = server["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    stop = read(environ=environment(server["containers"][0])).settings.stop_seconds
    bots = [pod["spec"] for name, pod in found.pods() if "-bot-" in name]

    assert stop == 60
    assert server["terminationGracePeriodSeconds"] >= sleep + 2 * stop + 5
    assert len(bots) == 2
    assert all(bot["terminationGracePeriodSeconds"] > DRAIN_SECONDS + 5 for bot in bots)


def test_probes_ask_paths_that_server_and_bots_answer() -> None:
    paths = json.loads((ROOT / "tests" / "http" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    for name, pod in rendered(SQLITE).pods():
        container = pod["spec"]["containers"][0]
        ports = {port["name"] for port in container["ports"]}
        asked = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
        assert [get["path"] for get in asked.values()] == ["/livez", "/livez", "/readyz"], name
        assert {get["port"] for get in asked.values()} <= ports
        assert {get["path"] for get in asked.values()} <= set(paths)


def test_a_bot_finds_its_server_and_key_and_tells_its_health() -> None:
    found = rendered(SQLITE)
    [service] = found.of("Service")
    bots = {name: pod["spec"]["containers"][0] for name, pod in found.pods() if "-bot-" in name}

    assert set(bots) == {"demo-swarmkeeper-bot-counter", "demo-swarmkeeper-bot-scaled"}
    for container in bots.values():
        variables = environment(container)
        port = service["spec"]["ports"][0]["port"]
        assert variables["SWARMKEEPER_URL"] == f"http://{service['metadata']['name']}:{port}"
        assert variables["SWARMKEEPER_HEALTH_PORT"] == f"0.0.0.0:{container['ports'][0]['containerPort']}"
        folder = variables["SWARMKEEPER_API_KEY_FILE"].rpartition("/")[0]
        assert folder in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert "MODEL_API_KEY" in [variable["name"] for variable in bots["demo-swarmkeeper-bot-scaled"]["env"]]


# ---- the store decides -----------------------------------------------------------------------------------------------


def test_with_sqlite_there_is_one_pod_with_a_volume_that_migrates_its_own_store() -> None:
    found = rendered(SQLITE)
    [server] = found.of("StatefulSet")

    assert server["spec"]["replicas"] == 1
    assert [claim["metadata"]["name"] for claim in server["spec"]["volumeClaimTemplates"]] == ["data"]
    assert server["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"
    assert found.orchestrator()["spec"]["containers"][0]["args"] == ["serve", "--migrate"]
    assert found.of("Job") == found.of("PodDisruptionBudget") == []


def test_with_postgresql_there_are_replicas_and_a_job_migrates_before_they_start() -> None:
    found = rendered(POSTGRESQL)
    [server] = [each for each in found.of("Deployment") if "-bot-" not in each["metadata"]["name"]]
    [job], [budget] = found.of("Job"), found.of("PodDisruptionBudget")
    store = {"secretKeyRef": {"name": "database", "key": "url"}}

    assert server["spec"]["replicas"] == 3
    assert server["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert found.of("StatefulSet") == []
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    for pod in (job["spec"]["template"], found.orchestrator()):
        container = pod["spec"]["containers"][0]
        [where] = [variable for variable in container["env"] if variable["name"] == "SWARMKEEPER_STORE"]
        assert where["valueFrom"] == store
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]
    assert found.orchestrator()["spec"]["containers"][0]["args"] == ["serve"]
    assert budget["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("name", VARIANTS)
def test_every_selector_finds_the_pods_that_it_is_for(name: str) -> None:
    found = rendered(VARIANTS[name])
    pods = {owner: pod["metadata"]["labels"] for owner, pod in found.pods()}

    def selected(labels: Mapping[str, str]) -> list[str]:
        return sorted(owner for owner, own in pods.items() if labels.items() <= own.items())

    bots = sorted(owner for owner in pods if "-bot-" in owner)
    for kind in ("Deployment", "StatefulSet"):
        for each in found.of(kind):
            assert selected(each["spec"]["selector"]["matchLabels"]) == [each["metadata"]["name"]]
    for each in found.of("Service"):
        assert selected(each["spec"]["selector"]) == ["demo-swarmkeeper"]
    for each in found.of("PodDisruptionBudget"):
        assert selected(each["spec"]["selector"]["matchLabels"]) == ["demo-swarmkeeper"]
    policies = {each["metadata"]["name"]: each["spec"] for each in found.of("NetworkPolicy")}
    of_server, of_bots = policies.pop("demo-swarmkeeper"), policies.pop("demo-swarmkeeper-bots")
    assert selected(of_server["podSelector"]["matchLabels"]) == ["demo-swarmkeeper"]
    assert selected(of_server["ingress"][0]["from"][0]["podSelector"]["matchLabels"]) == bots
    assert selected(of_bots["podSelector"]["matchLabels"]) == bots
    assert "ingress" not in of_bots
    for spec in policies.values():
        assert selected(spec["podSelector"]["matchLabels"]) == ["demo-swarmkeeper-migrate"]
        assert "ingress" not in spec


def test_only_whom_the_values_name_reaches_the_server_besides_its_bots() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in rendered(POSTGRESQL).of("NetworkPolicy")}
    server = policies["demo-swarmkeeper"]

    assert server["policyTypes"] == ["Ingress", "Egress"]
    assert server["ingress"][0]["from"][1:] == POSTGRESQL["networkPolicy"]["from"]
    assert [port["port"] for rule in server["egress"] for port in rule["ports"]] == [53, 53, 5432]
    assert rendered({"networkPolicy": {"enabled": False}}).of("NetworkPolicy") == []


# ---- operators -------------------------------------------------------------------------------------------------------


def test_prometheus_finds_the_server_and_has_its_key_and_its_rules() -> None:
    found = rendered(SQLITE)
    [monitor], [rule], [service] = found.of("ServiceMonitor"), found.of("PrometheusRule"), found.of("Service")
    [endpoint] = monitor["spec"]["endpoints"]

    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert endpoint["authorization"] == {"credentials": {"name": "metrics-key", "key": "key"}}
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert rule["spec"] == yaml.safe_load(RULES.read_text(encoding="utf-8"))


def test_the_notes_say_how_to_make_the_first_key() -> None:
    notes = rendered({}).notes

    assert "create secret generic swarmkeeper-first-key --from-file=key=first.key" in notes
    assert "kubectl -n swarm" in notes


def test_the_default_of_stop_seconds_is_the_servers() -> None:
    server = rendered({}).orchestrator()["spec"]["containers"][0]

    assert read(environ=environment(server)).settings.stop_seconds == Settings().stop_seconds
