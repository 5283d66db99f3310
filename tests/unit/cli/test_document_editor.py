"""What becomes of the options of ``rotator add``: a document that the function can read, or a refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from multiple_rotations import PATH, MultipleRotations, document
from rotator.cli.add import KEYS, REQUIRED
from rotator.cli.document_editor import MAX_DOCUMENT_BYTES, PreparedDocument, prepare
from rotator.config import rotation_documents
from rotator.errors import ConcurrentUpdate, ParameterStoreError, SettingsError
from rotator.renewal.models import Parameter, Rotation

GIVEN: dict[str, Any] = {"secret_id": "healthwise/client", "parameter_name": "/tenant-a/token"}


def added(
    multiple: MultipleRotations, name: str = "tenant-a", *, replace: bool = False, **changes: Any
) -> PreparedDocument:
    """Prepare an entry and write it."""
    entry = prepare(multiple.rotator, name, {**GIVEN, **changes}, replace=replace)
    entry.write(multiple.documents, multiple.rotator.registry)
    return entry


def refused(
    multiple: MultipleRotations, name: str = "tenant-a", *, replace: bool = False, **changes: Any
) -> str:
    """Have an entry refused, with nothing written."""
    before = multiple.texts()
    with pytest.raises(SettingsError) as caught:
        prepare(multiple.rotator, name, {**GIVEN, **changes}, replace=replace)
    assert multiple.texts() == before
    return str(caught.value)


def only(key: str, value: str) -> dict[str, Any]:
    return {key: value}


def test_every_key_of_a_document_but_its_name_has_an_option() -> None:
    assert KEYS.keys() == rotation_documents.ROTATION_SETTINGS.keys() - {"name"}
    assert {*REQUIRED} == rotation_documents.REQUIRED_SETTINGS.keys()


def test_the_first_document_under_a_path_is_added() -> None:
    multiple = MultipleRotations()
    added(multiple)
    assert {name: json.loads(text) for name, text in multiple.texts().items()} == {"tenant-a": GIVEN}
    assert [rotation.name for rotation in multiple.rotator.fleet().rotations] == ["tenant-a"]


@pytest.mark.parametrize("name", ["a", "tenant-a.staging", "A_b-C.9", ".a", "-9", "x" * 64])
def test_added_rotation_has_the_given_name(name: str) -> None:
    multiple = MultipleRotations()
    assert added(multiple, name).rotation == multiple.rotator.fleet([name]).rotations[0]


EVERYTHING: dict[str, Any] = {
    "token_endpoint": "https://auth.example.test/token",
    "scope": "triage.api search.api",
    "token_request_params": '{"expiration": 43200}',
    "grant_type": "password",
    "token_request_format": "json",
    "token_request_headers": '{"X-Tenant": "a"}',
    "client_id_in_body": "true",
    "basic_encoding": "form",
    "secret_members": '{"client_secret": "oauth.secret"}',
    "secret_params": '{"password": "pw"}',
    "secret_headers": '{"X-API-Key": "key"}',
    "response_members": '{"access_token": "token"}',
    "accepted_token_types": "session, other",
    "lifetime": "30m",
    "client_authentication": "private_key_jwt",
    "signing_key_id": "alias/client",
    "signing_algorithm": "ES384",
    "key_id": "key-1",
    "assertion_audience": "https://auth.example.test",
    "ca_parameter_name": "/authorities",
    "secret_rollover": "false",
    "renew_at": "0.5",
    "fallback_lifetime": "1h",
    "kms_key_id": "alias/mine",
    "tier": "Standard",
    "verify_url": "https://api.example.test/ping",
}


def test_every_option_is_read_back_with_its_value() -> None:
    multiple = MultipleRotations()
    rotation = added(multiple, **EVERYTHING).rotation
    assert multiple.rotator.fleet().rotations == (rotation,)
    stored = json.loads(multiple.texts()["tenant-a"])
    assert stored == {
        **GIVEN,
        **EVERYTHING,
        "token_request_params": {"expiration": "43200"},
        "token_request_headers": {"X-Tenant": "a"},
        "client_id_in_body": True,
        "secret_members": {"client_secret": "oauth.secret"},
        "secret_params": {"password": "pw"},
        "secret_headers": {"X-API-Key": "key"},
        "response_members": {"access_token": "token"},
        "accepted_token_types": ["session", "other"],
        "lifetime": 1800,
        "secret_rollover": False,
        "renew_at": 0.5,
        "fallback_lifetime": 3600,
    }
    assert KEYS.keys() == stored.keys()


def test_defaults_are_omitted_and_empty_scope_is_written() -> None:
    multiple = MultipleRotations()
    usual = {key: value for key, value in vars(Rotation(name="x", **GIVEN)).items() if key in KEYS}
    usual |= {"token_request_params": "{}", "secret_rollover": "true", "renew_at": "0.667"}
    usual |= {"token_request_headers": "{}", "client_id_in_body": "false", "secret_headers": "{}"}
    added(multiple, **{key: value for key, value in usual.items() if value is not None})
    assert json.loads(multiple.texts()["tenant-a"]) == GIVEN
    added(multiple, replace=True, scope="")
    assert json.loads(multiple.texts()["tenant-a"]) == {**GIVEN, "scope": ""}


def test_only_own_kms_key_is_written_into_a_document() -> None:
    """Or a document would keep to the stack's old key when that has another."""
    multiple = MultipleRotations().set(kms_key_id="alias/all")
    assert added(multiple).rotation.kms_key_id == "alias/all"
    assert json.loads(multiple.texts()["tenant-a"]) == GIVEN
    assert multiple.rotator.fleet().rotations[0].kms_key_id == "alias/all"
    assert added(multiple, replace=True, kms_key_id="alias/aws/ssm").rotation.kms_key_id == "alias/aws/ssm"
    assert multiple.rotator.fleet().rotations[0].kms_key_id == "alias/aws/ssm"


def test_double_braces_are_escaped_for_parameter_store() -> None:
    multiple = MultipleRotations()
    rotation = added(multiple, token_request_params='{"a": "{{{x}}}", "b": "{{"}').rotation
    assert "{{" not in multiple.texts()["tenant-a"]
    assert multiple.rotator.fleet().rotations[0].token_request_params == {"a": "{{{x}}}", "b": "{{"}
    assert rotation == multiple.rotator.fleet().rotations[0]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", '""'),
        (".", '"."'),
        ("..", '".."'),
        ("-_", '"-_"'),
        ("a/b", '"a/b"'),
        ("a b", '"a b"'),
        ("é", "u00e9"),
        ("a*", '"a*"'),
        ("x" * 65, "x" * 65),
    ],
)
def test_an_illegal_name_is_refused(name: str, shown: str) -> None:
    problem = refused(MultipleRotations(), name)
    assert problem.startswith("NAME is ")
    assert shown in problem
    assert "1 to 64 letters, digits and ._-" in problem


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("secret_id", "a canary secret"),
        ("token_request_params", '{"client_secret": "canary"}'),
        ("token_request_params", "canary"),
        ("token_request_headers", '{"Authorization": "canary"}'),
        ("secret_headers", '{"X-Key": ["canary"]}'),
        ("token_endpoint", "https://user:canary@auth.example.test/"),
        ("signing_key_id", "-----BEGIN PRIVATE KEY-----\ncanary"),
        ("key_id", "a canary"),
    ],
)
def test_possible_secret_is_refused_without_being_shown(key: str, value: str) -> None:
    problem = refused(MultipleRotations(), **only(key, value))
    assert problem.startswith(f"--{key.replace('_', '-')} is a text of {len(value)} characters; it must be ")
    assert "canary" not in problem


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parameter_name", "tenant-a/token"),
        ("parameter_name", "/aws/token"),
        ("token_endpoint", "http://auth.example.test/token"),
        ("scope", "two  blanks"),
        ("client_authentication", "none"),
        ("signing_algorithm", "ES1"),
        ("ca_parameter_name", "authorities"),
        ("basic_encoding", "latin-1"),
        ("secret_rollover", "maybe"),
        ("renew_at", "0.99"),
        ("fallback_lifetime", "1 fortnight"),
        ("kms_key_id", "my key"),
        ("tier", "Premium"),
        ("verify_url", "ftp://example.test"),
    ],
)
def test_value_invalid_for_the_function_is_refused(key: str, value: str) -> None:
    problem = refused(MultipleRotations(), **only(key, value))
    assert problem.startswith(f"--{key.replace('_', '-')} is {json.dumps(value)}; it must be ")


def test_a_host_that_is_not_allowed_is_refused() -> None:
    multiple = MultipleRotations().set(allowed_hosts=frozenset({"auth.example.test"}))
    assert "auth.healthwise.net, which is not in ROTATOR_ALLOWED_HOSTS" in refused(multiple)
    added(multiple, token_endpoint="https://auth.example.test/token")
    assert list(multiple.texts()) == ["tenant-a"]


def test_a_name_that_is_taken_is_refused() -> None:
    multiple = MultipleRotations(**{"tenant-a": document("other")})
    assert "there is a rotation tenant-a already, in the document /rotations/tenant-a" in refused(multiple)


@pytest.mark.parametrize(
    ("place", "fields"),
    [
        pytest.param("b", document("b", name="tenant-a"), id="named in its document"),
        pytest.param("tenant/a", document("b", name="tenant-a"), id="deeper"),
        pytest.param("tenant-a", "{", id="broken"),
        pytest.param("tenant-a", document("b", name="other"), id="the place of another"),
    ],
)
def test_name_or_path_used_by_any_document_is_refused(place: str, fields: Any) -> None:
    multiple = MultipleRotations(**{place: fields})
    assert f"already, in the document {PATH}/{place}; choose another name" in refused(multiple)


@pytest.mark.parametrize("parameter", ["/b/token", "/b/token/status"])
def test_parameter_of_another_rotation_is_refused_in_any_order(parameter: str) -> None:
    multiple = MultipleRotations(b=document("b"))
    for name in ("a", "c"):
        problem = refused(multiple, name, parameter_name=parameter)
        assert f"the parameter {parameter} already belongs to the rotation b" in problem


def test_status_parameter_that_is_another_token_is_refused() -> None:
    multiple = MultipleRotations(b=document("b", parameter_name="/a/token/status"))
    assert "/a/token/status already belongs to the rotation b" in refused(
        multiple, "a", parameter_name="/a/token"
    )


@pytest.mark.parametrize("parameter", [f"{PATH}/a", PATH])
def test_token_parameter_under_the_rotations_path_is_refused(parameter: str) -> None:
    assert "is under /rotations, which is only for rotation documents" in refused(
        MultipleRotations(), parameter_name=parameter
    )


@pytest.mark.parametrize("name", [".", "-"])
def test_existing_name_without_letters_can_be_changed(name: str) -> None:
    multiple = MultipleRotations(**{name: document("a")})
    assert added(multiple, name, replace=True, scope="x").rotation.name == name
    assert [each.scope for each in multiple.rotator.fleet().rotations] == ["x"]


def test_error_names_both_documents_of_equal_name() -> None:
    multiple = MultipleRotations(t0008=document("a"), t0009=document("b", name="t0008"))
    ((name, error),) = multiple.rotator.fleet().broken
    assert (name, error.problem) == (
        "t0009",
        "two rotation documents have the name t0008: /rotations/t0008 and /rotations/t0009",
    )


def test_token_lifetime_too_short_for_the_overlap_is_refused() -> None:
    assert "a token of 10 min" in refused(MultipleRotations(), token_request_params='{"expiration": "600"}')


def test_document_larger_than_4096_bytes_is_refused() -> None:
    multiple = MultipleRotations()
    spare = MAX_DOCUMENT_BYTES - len(json.dumps({**GIVEN, "scope": ""}))
    added(multiple, scope="x" * spare)
    assert len(multiple.texts()["tenant-a"]) == MAX_DOCUMENT_BYTES == 4096
    problem = refused(multiple, "b", parameter_name="/tenant-b/token", scope="x" * (spare + 1))
    assert "the document of b has 4,097 bytes, and may have 4,096; shorten scope" in problem


@pytest.mark.parametrize("parameter", ["/b/token", "/b/token/status"])
@pytest.mark.parametrize(
    "broken",
    [{"renew_at": 7}, {"secret_id": None}, {"unknown": 1}],
    ids=["a bad value", "a gap", "an unknown key"],
)
def test_parameter_named_by_a_broken_document_is_refused(broken: dict[str, Any], parameter: str) -> None:
    """Once it is fixed, it would take the parameter over, if its name comes first."""
    multiple = MultipleRotations(a=document("b", **broken))
    problem = refused(multiple, "z", parameter_name=parameter)
    assert f"the parameter {parameter} is also named by the invalid rotation document {PATH}/a" in problem
    assert "fix or remove /rotations/a first" in problem


def test_change_is_allowed_if_broken_document_names_parameter() -> None:
    multiple = MultipleRotations(a=document("b", renew_at=7), b=document("b"))
    assert added(multiple, "b", replace=True, parameter_name="/b/token", scope="x").rotation.scope == "x"


def test_broken_document_does_not_stop_rotation_of_its_parameter() -> None:
    multiple = MultipleRotations(a=document("b", renew_at=7), b=document("b"))
    assert [rotation.name for rotation in multiple.rotator.fleet().rotations] == ["b"]


def test_broken_documents_do_not_prevent_an_addition() -> None:
    multiple = MultipleRotations(bad="{", worse=document("w", renew_at=7))
    added(multiple)
    assert [rotation.name for rotation in multiple.rotator.fleet().rotations] == ["tenant-a"]


# Changing one.


def test_change_replaces_the_whole_document_in_place() -> None:
    multiple = MultipleRotations(
        **{"team/a": document("a", scope="x"), "y": document("y", name="z", tier="Standard")}
    )
    assert added(multiple, "team.a", replace=True).before
    added(multiple, "z", replace=True, parameter_name="/z/token")
    assert {name: json.loads(text) for name, text in multiple.texts().items()} == {
        "team/a": GIVEN,
        "y": {"name": "z", **GIVEN, "parameter_name": "/z/token"},
    }
    assert sorted(rotation.name for rotation in multiple.rotator.fleet().rotations) == ["team.a", "z"]


def test_change_fixes_broken_document_and_keeps_parameter() -> None:
    multiple = MultipleRotations(**{"tenant-a": "{"})
    assert added(multiple, replace=True).before is None
    added(multiple, replace=True, scope="search.api")
    assert multiple.rotator.fleet().rotations[0].scope == "search.api"


def test_change_of_unknown_name_is_refused_with_similar_names() -> None:
    multiple = MultipleRotations(**{"tenant-a": document("a"), "other": document("o")})
    assert "no rotation named 'tenant-x'; did you mean tenant-a?" in refused(
        multiple, "tenant-x", replace=True
    )


def test_change_to_parameter_of_another_rotation_is_refused() -> None:
    multiple = MultipleRotations(a=document("a"), b=document("b"))
    assert "belongs to the rotation b" in refused(multiple, "a", replace=True, parameter_name="/b/token")


def test_change_of_secure_string_document_is_refused_with_advice() -> None:
    multiple = MultipleRotations()
    multiple.put("tenant-a", "{}", "SecureString")
    problem = refused(multiple, replace=True)
    assert "is a SecureString; run `rotator remove tenant-a`, wait 30 s, and add it again" in problem


def test_change_of_ambiguous_name_is_refused() -> None:
    multiple = MultipleRotations(**{"a.b": document("x"), "a/b": document("y")})
    assert "several documents have the name a.b: /rotations/a.b, /rotations/a/b" in refused(
        multiple, "a.b", replace=True
    )


# Writing.


def test_concurrent_second_addition_is_refused() -> None:
    multiple = MultipleRotations()
    first, second = (
        prepare(multiple.rotator, "tenant-a", {**GIVEN, "scope": scope}, replace=False)
        for scope in ("x", "y")
    )
    first.write(multiple.documents, multiple.rotator.registry)
    with pytest.raises(SettingsError, match="there is a rotation tenant-a already"):
        second.write(multiple.documents, multiple.rotator.registry)
    assert json.loads(multiple.texts()["tenant-a"])["scope"] == "x"


def test_repeated_identical_write_succeeds() -> None:
    multiple = MultipleRotations()
    entry = prepare(multiple.rotator, "tenant-a", GIVEN, replace=False)
    for _ in range(2):
        entry.write(multiple.documents, multiple.rotator.registry)
    assert json.loads(multiple.texts()["tenant-a"]) == GIVEN


def test_concurrent_change_raises_concurrent_update() -> None:
    multiple = MultipleRotations(**{"tenant-a": document("tenant-a")})
    multiple.documents.fails[f"{PATH}/tenant-a"] = ConcurrentUpdate(
        "TooManyUpdates", advice="see `rotator list`"
    )
    with pytest.raises(ConcurrentUpdate):
        added(multiple, replace=True)


def test_denied_write_raises_and_stores_nothing() -> None:
    multiple = MultipleRotations()
    multiple.documents.fails[f"{PATH}/tenant-a"] = ParameterStoreError("denied", advice="allow it")
    with pytest.raises(ParameterStoreError, match="denied"):
        added(multiple)
    assert multiple.texts() == {}


def test_unreadable_documents_prevent_an_addition() -> None:
    multiple = MultipleRotations()
    multiple.ports.parameters.fails["read"] = ParameterStoreError("denied", advice="allow it")
    with pytest.raises(ParameterStoreError, match="denied"):
        added(multiple)


def test_checked_rotation_equals_written_document() -> None:
    multiple = MultipleRotations()
    entry = added(multiple, **EVERYTHING)
    read = Parameter(value=multiple.texts()["tenant-a"], version=1, type="String")
    assert rotation_documents.read_document(PATH, entry.document, read, frozenset()) == entry.rotation
