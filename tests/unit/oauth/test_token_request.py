"""Token requests as providers want them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from fake_ports import CANARY_SECRET, rotation
from rotator.oauth.client_credentials import TokenRequest, secret_headers, token_request
from rotator.oauth.models import ClientAuthentication, ClientCredentials, Secret, TokenRequestFormat

CREDENTIALS = ClientCredentials(
    client_id="client",
    client_secret=Secret(CANARY_SECRET),
    version_id="v1",
    members={"gateway.key": Secret(" canary-key "), "password": Secret(" canary&password ")},
)


def request(**settings: Any) -> TokenRequest:
    made = token_request(rotation(**settings), CREDENTIALS)
    assert "canary" not in repr(made)
    return made


def sent(**settings: Any) -> list[tuple[str, str]]:
    return parse_qsl(request(**settings).body.value, keep_blank_values=True)


def test_grant_type_is_the_one_that_is_set() -> None:
    params = {"account_id": "a"}
    asked = sent(grant_type="account_credentials", scope="", token_request_params=params)
    assert asked == [("grant_type", "account_credentials"), ("account_id", "a")]


def test_list_becomes_a_repeated_parameter() -> None:
    asked = sent(token_request_params={"resource": ("https://a", "https://b"), "audience": "c"})
    assert asked[2:] == [("resource", "https://a"), ("resource", "https://b"), ("audience", "c")]


def test_client_id_may_stand_in_the_body_beside_basic() -> None:
    made = request(client_id_in_body=True)
    assert "Authorization" in made.headers
    assert made.body.value.endswith("&client_id=client")
    assert CANARY_SECRET not in made.body.value
    assert "client_id" not in request().body.value


def test_client_id_stands_in_the_body_once_with_post() -> None:
    by_post = {"client_authentication": ClientAuthentication.POST, "client_id_in_body": True}
    assert [name for name, _ in sent(**by_post)].count("client_id") == 1


def test_secret_params_are_members_of_the_secret_as_they_are() -> None:
    asked = sent(grant_type="password", secret_params={"password": "password"})
    assert asked == [("grant_type", "password"), ("scope", "*"), ("password", " canary&password ")]


def test_headers_come_from_settings_and_from_the_secret() -> None:
    made = request(
        token_request_headers={"X-Tenant": "a"}, secret_headers={"Ocp-Apim-Subscription-Key": "gateway.key"}
    )
    assert made.headers.items() - request().headers.items() == {
        ("X-Tenant", Secret("a")),
        ("Ocp-Apim-Subscription-Key", Secret("canary-key")),
    }
    assert request().headers.keys() == {"Content-Type", "Authorization"}


def test_probe_has_the_headers_of_the_secret_alone() -> None:
    client = rotation(token_request_headers={"X-Tenant": "a"}, secret_headers={"X-Key": "gateway.key"})
    assert secret_headers(client, CREDENTIALS) == {"X-Key": Secret("canary-key")}


@pytest.mark.parametrize("by", ClientAuthentication)
def test_json_request_has_the_same_parameters(by: ClientAuthentication) -> None:
    settings = {
        "client_authentication": by,
        "token_request_params": {"resource": ("a", "b"), "é": "{"},
        "secret_params": {"password": "password"},
    }
    made = request(token_request_format=TokenRequestFormat.JSON, **settings)
    assert made.headers["Content-Type"].value == "application/json"
    assert made.body.value.isascii()
    fields = json.loads(made.body.value)
    assert fields.pop("resource") == ["a", "b"]
    assert fields == {name: value for name, value in sent(**settings) if name != "resource"}
    content_type = request(**settings).headers["Content-Type"].value
    assert content_type == "application/x-www-form-urlencoded"


def test_header_from_the_secret_loses_surrounding_spaces_alone() -> None:
    secret = replace(CREDENTIALS, members={"key": Secret(" X\ta\t ")})
    made = secret_headers(rotation(secret_headers={"X-Key": "key"}), secret)
    assert made["X-Key"].value == "X\ta\t"
