"""The recipe for Kubernetes: its YAML agrees with itself, the operator's fields and the contract."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

import template
from consumer_guide import block, text
from consumer_stack import Consuming
from rotator.renewal.guarantee import Guarantee

PLATFORM = "kubernetes"
DOCUMENTS: dict[str, dict[str, Any]] = {
    each["kind"]: each for each in yaml.safe_load_all(block(PLATFORM, "yaml"))
}
STORE, EXTERNAL = DOCUMENTS["SecretStore"]["spec"], DOCUMENTS["ExternalSecret"]["spec"]
POD = DOCUMENTS["Pod"]["spec"]

KUBELET = 60 + 60
"""Seconds: the kubelet's sync period and the time to live of its cache, by default.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/#mounted-configmaps-are-updated-automatically
"""

FIELDS = {
    "ExternalSecret": {
        "refreshInterval",
        "secretStoreRef.kind",
        "secretStoreRef.name",
        "target.name",
        "data.secretKey",
        "data.remoteRef.key",
    },
    "SecretStore": {
        "provider.aws.service",
        "provider.aws.region",
        "provider.aws.auth.jwt.serviceAccountRef.name",
    },
}
"""The operator's own names for what the recipe says: version v1 of external-secrets/external-secrets,
config/crds/bases/external-secrets.io_externalsecrets.yaml and external-secrets.io_secretstores.yaml."""


def paths(value: Any, above: str = "") -> Iterator[str]:
    """The names of all values in it, with those above them; a list's items have the list's name."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from paths(each, f"{above}.{name}" if above else name)
    elif isinstance(value, list):
        for each in value:
            yield from paths(each, above)
    else:
        yield above


@pytest.mark.parametrize("kind", FIELDS)
def test_the_operator_knows_every_field(kind: str) -> None:
    assert DOCUMENTS[kind]["apiVersion"] == "external-secrets.io/v1"
    assert set(paths(DOCUMENTS[kind]["spec"])) == FIELDS[kind]


def test_manifests_reference_each_other_by_name() -> None:
    names = {kind: each["metadata"]["name"] for kind, each in DOCUMENTS.items()}
    assert EXTERNAL["secretStoreRef"] == {"kind": "SecretStore", "name": names["SecretStore"]}
    assert STORE["provider"]["aws"]["auth"]["jwt"]["serviceAccountRef"]["name"] == names["ServiceAccount"]
    [volume], [container] = POD["volumes"], POD["containers"]
    assert volume["secret"]["secretName"] == EXTERNAL["target"]["name"]
    [mount] = container["volumeMounts"]
    assert mount["name"] == volume["name"]
    [entry] = EXTERNAL["data"]
    assert f"`{mount['mountPath']}/{entry['secretKey']}`" in text(PLATFORM)


def test_secret_is_mounted_as_a_volume_without_a_sub_path() -> None:
    """Neither variables of the environment nor a subPath ever change in a running pod."""
    [container] = POD["containers"]
    assert container.keys() == {"name", "image", "volumeMounts"}
    assert all("subPath" not in mount for mount in container["volumeMounts"])


def test_pod_copy_is_never_older_than_the_consumer_cache() -> None:
    minutes = re.fullmatch(r"(\d+)m", EXTERNAL["refreshInterval"])
    promised = re.search(r'SET="ConsumerCacheSeconds=(\d+)"', text(PLATFORM))
    assert minutes
    assert promised
    oldest = int(minutes[1]) * 60 + KUBELET
    assert f"{minutes[1]} + {KUBELET // 60} = {oldest // 60} minutes" in text(PLATFORM)
    assert oldest <= int(promised[1])
    assert int(promised[1]) in template.PARAMETERS["ConsumerCacheSeconds"]["AllowedValues"]
    assert Guarantee(consumer_cache=int(promised[1])).problem(86400, 0.667) is None


def test_the_operator_reads_the_token_under_the_consumers_policy(world: Consuming) -> None:
    """By the one call that it makes for ``data``: getParameterValue in providers/v1/aws/parameterstore."""
    assert STORE["provider"]["aws"]["service"] == "ParameterStore"
    [entry] = EXTERNAL["data"]
    answer = world.consumer.client("ssm").get_parameter(Name=entry["remoteRef"]["key"], WithDecryption=True)
    assert answer["Parameter"]["Value"] == world.token()
