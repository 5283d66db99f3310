"""Settings that are JSON objects: an error names the key that has it, and shows no value."""

from __future__ import annotations

from typing import Any

import pytest

from rotator.config import environment
from rotator.errors import SettingsError

REQUIRED = {"ROTATOR_SECRET_ID": "x", "ROTATOR_PARAMETER_NAME": "/x/token"}


def refused(**given: str) -> str:
    environ = {f"ROTATOR_{name.upper()}": value for name, value in given.items()}
    with pytest.raises(SettingsError) as caught:
        environment.read_environment({**REQUIRED, **environ})
    assert "canary" not in str(caught.value)
    return str(caught.value)


JSON_SETTINGS = (
    *("token_request_params", "token_request_headers", "secret_members"),
    *("secret_params", "secret_headers", "response_members"),
)


@pytest.mark.parametrize("setting", JSON_SETTINGS)
@pytest.mark.parametrize("text", ["canary", "[]", '"canary"', "5", "null", "{", "[" * 50_000])
def test_text_that_is_no_object_is_refused(setting: str, text: str) -> None:
    reported = refused(**{setting: text})
    assert reported.startswith(
        f"ROTATOR_{setting.upper()} is a text of {len(text)} characters; it must be a JSON object"
    )


@pytest.mark.parametrize(
    ("setting", "text", "problem"),
    [
        ("token_request_params", '{"a": "canary", "grant_type": "canary"}', "'grant_type' is reserved"),
        ("token_request_params", '{"resource": []}', "'resource' has an empty list"),
        ("token_request_params", '{"resource": ["canary", {}]}', "'resource' has a value that is not a text"),
        (
            "token_request_params",
            '{"resource": ["canary", ["canary"]]}',
            "'resource' has a value that is not a text",
        ),
        ("token_request_params", '{"a": null}', "'a' has a value that is not a text"),
        ("token_request_params", '{"a": NaN}', "'a' has a value that is not a text"),
        ("token_request_params", r'{"a": "\ud800"}', "'a' has a value that is not a text"),
        ("token_request_params", '{"": "canary"}', "'' is not a valid name"),
        ("token_request_params", '{"a": "canary", "a": "canary-2"}', "'a' is given twice"),
        ("token_request_headers", '{"Authorization": "canary"}', "'Authorization' is reserved"),
        ("token_request_headers", '{"content-length": 5}', "'content-length' is reserved"),
        ("token_request_headers", '{"X Key": "canary"}', "'X Key' is not a valid header name"),
        ("token_request_headers", r'{"X\nKey": "canary"}', r"'X\nKey' is not a valid header name"),
        (
            "token_request_headers",
            r'{"X-Key": "canary\nX-Other: canary"}',
            "'X-Key' has a value that is not one line",
        ),
        ("token_request_headers", '{"X-Key": "canary "}', "'X-Key' has a value that is not one line"),
        ("token_request_headers", '{"X-Key": "canary-é"}', "'X-Key' has a value that is not one line"),
        ("token_request_headers", '{"X-Key": true}', "'X-Key' has a value that is not one line"),
        ("token_request_headers", '{"X-Key": "canary", "x-key": "canary"}', "'x-key' is given twice"),
        ("secret_headers", '{"Host": "canary"}', "'Host' is reserved"),
        ("secret_headers", '{"X-Key": ""}', "'X-Key' does not name a member"),
        ("secret_headers", '{"X-Key": 5}', "'X-Key' does not name a member"),
        ("secret_headers", '{"X-Key": "a", "X-KEY": "b"}', "'X-KEY' is given twice"),
        ("secret_params", '{"client_secret": "a"}', "'client_secret' is reserved"),
        ("secret_params", r'{"password": "a\n"}', "'password' does not name a member"),
        ("secret_members", '{"password": "a"}', "'password' is not a known name"),
        ("secret_members", '{"client_id": ["canary"]}', "'client_id' does not name a member"),
        ("response_members", '{"refresh_token": "a"}', "'refresh_token' is not a known name"),
        ("response_members", '{"access_token": ["a", 0]}', "'access_token' does not name a member"),
    ],
)
def test_key_with_a_fault_is_named(setting: str, text: str, problem: str) -> None:
    assert f"; its key {problem}" in refused(**{setting: text})


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"token_request_params": '{"a": "canary"}', "secret_params": '{"a": "b"}'}, "'a'"),
        ({"token_request_headers": '{"X-Key": "canary"}', "secret_headers": '{"x-key": "b"}'}, "'x-key'"),
    ],
)
def test_key_from_settings_and_from_the_secret_is_refused(given: dict[str, Any], key: str) -> None:
    first, second = given
    reported = refused(**given)
    assert reported.startswith(
        f"ROTATOR_{first.upper()} and ROTATOR_{second.upper()} both have the key {key}"
    )
