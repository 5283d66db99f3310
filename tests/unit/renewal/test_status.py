"""The status parameter's text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from fake_ports import START, rotation
from rotator.errors import ParameterStoreError, Retry
from rotator.oauth.models import Stage
from rotator.renewal import status
from rotator.renewal.models import Parameter, Status

STATUS = Status(
    parameter_version=17,
    issued_at=START,
    expires_at=START + timedelta(days=1),
    renew_at=START + timedelta(hours=16),
    scope="*",
    token_sha256="0123456789abcdef",
    secret_version_id="secret-v1",
    rotator_version="1.2.3",
    lease_version=4,
)


def stored(text: str, *, token_version: int = 17) -> dict[str, Parameter]:
    return {
        "/healthwise/token": Parameter(value="x", version=token_version, type="SecureString"),
        "/healthwise/token/status": Parameter(value=text, version=5, type="String"),
    }


def test_status_text_has_exactly_the_documented_fields() -> None:
    assert json.loads(status.dump(STATUS)) == {
        "schema": 1,
        "parameter_version": 17,
        "issued_at": "2026-11-24T06:00:00Z",
        "expires_at": "2026-11-25T06:00:00Z",
        "renew_at": "2026-11-24T22:00:00Z",
        "scope": "*",
        "token_type": "Bearer",
        "token_sha256": "0123456789abcdef",
        "secret_version_id": "secret-v1",
        "rotator_version": "1.2.3",
        "lease_version": 4,
    }


def test_written_status_is_read_back() -> None:
    found = status.read(rotation(), stored(status.dump(STATUS)))
    assert (found.status, found.status_problem) == (STATUS, None)
    assert (found.token_version, found.status_version) == (17, 5)


@pytest.mark.parametrize("stage", [Stage.PENDING, Stage.PREVIOUS])
def test_secret_stage_is_an_extra_field_and_is_read_back(stage: Stage) -> None:
    other = replace(STATUS, secret_stage=stage)
    assert json.loads(status.dump(other)) == {**json.loads(status.dump(STATUS)), "secret_stage": stage.value}
    assert status.read(rotation(), stored(status.dump(other))).status == other


def test_status_of_version_0_1_without_a_token_is_none() -> None:
    found = status.read(rotation(), stored('{"schema": 1}'))
    assert (found.status, found.status_problem) == (None, None)


def test_status_of_version_0_1_has_lease_version_zero() -> None:
    text = json.loads(status.dump(STATUS))
    del text["lease_version"]
    assert status.read(rotation(), stored(json.dumps(text))).status == replace(STATUS, lease_version=0)


def test_claimed_until_of_version_0_1_becomes_renew_at() -> None:
    claimed = altered(claimed_by="run-1", claimed_until="2026-11-24T06:01:00Z")
    assert status.read(rotation(), stored(claimed)).status == replace(
        STATUS, renew_at=START + timedelta(minutes=1)
    )


@pytest.mark.parametrize(
    ("name", "type_name", "problem"),
    [
        (
            "/healthwise/token",
            "String",
            "is a String, not a SecureString; delete this parameter, or set parameter_name",
        ),
        ("/healthwise/token", "StringList", "is a StringList, not a SecureString"),
        (
            "/healthwise/token/status",
            "SecureString",
            "is a SecureString, not a String; delete this parameter: the next run",
        ),
    ],
)
def test_parameter_of_the_wrong_type_raises_an_error(name: str, type_name: str, problem: str) -> None:
    found = stored(status.dump(STATUS))
    with pytest.raises(ParameterStoreError, match=f"the parameter {name} {problem}"):
        status.read(rotation(), {**found, name: replace(found[name], type=type_name)})


def test_missing_parameters_are_read_as_empty() -> None:
    found = status.read(rotation(), {})
    assert (found.token_version, found.status_version, found.status) == (0, 0, None)


def test_a_status_that_names_another_version_is_not_trusted() -> None:
    assert status.read(rotation(), stored(status.dump(STATUS), token_version=18)).token_status is None


def altered(**changes: object) -> str:
    return json.dumps({**json.loads(status.dump(STATUS)), **changes})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("<html>", id="not JSON"),
        pytest.param("[]", id="a list"),
        pytest.param("17", id="a number"),
        pytest.param("{}", id="without schema"),
        pytest.param(altered(schema=0), id="schema 0"),
        pytest.param(altered(schema=True), id="schema true"),
        pytest.param(altered(schema="1"), id="schema as text"),
        pytest.param(altered(parameter_version="many"), id="version not a number"),
        pytest.param(altered(expires_at="tomorrow"), id="end not a time"),
        pytest.param(altered(expires_at="2026-11-25T06:00:00"), id="end without zone"),
        pytest.param(altered(expires_at=None), id="end missing"),
        pytest.param(altered(secret_stage="AWSFUTURE"), id="stage unknown"),
        pytest.param(altered(secret_stage=None), id="stage missing"),
        pytest.param(altered(claimed_by="x", claimed_until="soon"), id="claim of version 0.1 without end"),
        pytest.param(altered(lease_version="many"), id="lease version not a number"),
        pytest.param(altered(lease_version=None), id="lease version null"),
        pytest.param("[" * 100_000, id="nested without end"),
        pytest.param('{"schema": 1, "parameter_version": 17}', id="fields missing"),
    ],
)
def test_unreadable_status_is_none_with_a_problem(text: str) -> None:
    found = status.read(rotation(), stored(text))
    assert found.status is None
    assert found.status_problem in (
        "it is not JSON in the form that the rotator writes",
        "its schema is unknown",
    )


def test_newer_status_schema_raises_an_error_that_names_it() -> None:
    with pytest.raises(ParameterStoreError, match=r"/healthwise/token/status has schema 2.*newer") as caught:
        status.read(rotation(), stored(altered(schema=2)))
    assert (
        caught.value.advice
        == "deploy the newer version here, too, or delete this parameter: the next run writes it again"
    )


def test_a_token_type_is_read_as_it_was_written() -> None:
    found = status.read(rotation(), stored(altered(token_type="bearer"))).status
    assert found
    assert found.token_type == "bearer"


def test_status_not_written_is_repeated_by_whoever_repeats_its_cause() -> None:
    cause = ParameterStoreError("denied", advice="allow it", retry=Retry.NEXT_RUN)
    assert status.StatusNotWritten(STATUS, cause).retry is Retry.NEXT_RUN


def test_times_are_written_in_whole_seconds() -> None:
    text = status.dump(replace(STATUS, expires_at=START + timedelta(seconds=1.5)))
    assert json.loads(text)["expires_at"] == "2026-11-24T06:00:01Z"
