"""Rotation documents: read, checked, and refused with the document's name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rotator.config import rotation_documents
from rotator.errors import SettingsError
from rotator.renewal.models import Parameter, Rotation

NO_HOSTS: frozenset[str] = frozenset()


def document(
    fields: object,
    *,
    type: str = "String",
    hosts: frozenset[str] = NO_HOSTS,
    kms_key_id: str | None = None,
) -> Rotation:
    text = fields if isinstance(fields, str) else json.dumps(fields)
    parameter = Parameter(value=text, version=1, type=type)
    return rotation_documents.read_document("/rotations", "/rotations/tenant-a", parameter, hosts, kms_key_id)


DOCUMENT = {"secret_id": "s", "parameter_name": "/tenant-a/token"}


def test_document_is_read_and_named_after_its_parameter() -> None:
    found = document(
        {**DOCUMENT, "renew_at": 0.5, "fallback_lifetime": 600, "token_request_params": {"a": "b"}}
    )
    assert (found.name, found.renew_at, found.fallback_lifetime) == ("tenant-a", 0.5, 600)
    assert found.token_request_params == {"a": "b"}


def test_a_document_may_name_itself() -> None:
    assert document({**DOCUMENT, "name": "other"}).name == "other"


def test_a_null_in_a_document_counts_as_not_set() -> None:
    assert document({**DOCUMENT, "verify_url": None}) == document(DOCUMENT)


@pytest.mark.parametrize(
    ("own", "key"),
    [({}, "alias/all"), ({"kms_key_id": None}, "alias/all"), ({"kms_key_id": "alias/a"}, "alias/a")],
)
def test_document_kms_key_overrides_the_default_key(own: dict[str, Any], key: str) -> None:
    assert document({**DOCUMENT, **own}, kms_key_id="alias/all").kms_key_id == key
    assert document({**DOCUMENT, **own}).kms_key_id == own.get("kms_key_id")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        pytest.param("", "not a JSON object", id="empty"),
        pytest.param("[]", "not a JSON object", id="a list"),
        pytest.param("{", "not JSON", id="truncated"),
        pytest.param("[" * 100_000, "not a JSON object", id="nested without end"),
        pytest.param({"parameter_name": "/x"}, "secret_id in the rotation document", id="without secret_id"),
        pytest.param(
            {"secret_id": "x"}, "parameter_name in the rotation document", id="without parameter_name"
        ),
        pytest.param(
            {**DOCUMENT, "secretid": "x"}, "unknown key 'secretid'; did you mean secret_id", id="misspelt"
        ),
        pytest.param(
            '{"secret_id": "x", "parameter_name": "/x", "renew_at": 0.5, "renew_at": 0.7}',
            "has the key renew_at twice",
            id="twice",
        ),
        pytest.param({**DOCUMENT, "rotations_path": "/x"}, "unknown key 'rotations_path'", id="a run's key"),
        pytest.param({**DOCUMENT, "renew_at": 2}, "renew_at in the rotation document", id="out of range"),
        pytest.param(
            {**DOCUMENT, "renew_at": True}, "renew_at in the rotation document", id="true as a number"
        ),
        pytest.param(
            {**DOCUMENT, "renew_at": [1]}, "renew_at in the rotation document", id="list as a number"
        ),
        pytest.param(
            {**DOCUMENT, "secret_id": 5}, "secret_id in the rotation document", id="number as a name"
        ),
        pytest.param({**DOCUMENT, "tier": {"a": 1}}, "tier in the rotation document", id="object as a tier"),
        pytest.param({**DOCUMENT, "scope": 5}, "scope in the rotation document", id="number as a scope"),
        pytest.param(
            {**DOCUMENT, "token_endpoint": None, "verify_url": 5}, "verify_url", id="number as a URL"
        ),
    ],
)
def test_a_bad_document_is_refused_with_its_name(fields: Any, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        document(fields)
    assert "/rotations/tenant-a" in str(caught.value)
    assert problem.replace("not JSON", "not a JSON object") in str(caught.value)


def test_document_with_disallowed_host_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"evil\.example\.test, which is not in ROTATOR_ALLOWED_HOSTS"):
        document(
            {**DOCUMENT, "token_endpoint": "https://evil.example.test/"},
            hosts=frozenset({"auth.healthwise.net"}),
        )


def test_an_encrypted_document_is_refused() -> None:
    with pytest.raises(SettingsError, match="is a parameter of type SecureString"):
        document(DOCUMENT, type="SecureString")


@pytest.mark.parametrize(
    ("given", "value"), [(True, True), (False, False), ("true", True), ("false", False), (None, True)]
)
def test_document_boolean_is_read_from_json_or_text(given: object, value: bool) -> None:
    names = {"secret_id": "x", "parameter_name": "/x/token"}
    assert document({**names, "secret_rollover": given}).secret_rollover is value


@pytest.mark.parametrize("given", [0, 1, "True", "", [], {}])
def test_document_boolean_of_another_value_is_refused(given: object) -> None:
    with pytest.raises(SettingsError, match="it must be one of true, false"):
        document({"secret_id": "x", "parameter_name": "/x/token", "secret_rollover": given})
