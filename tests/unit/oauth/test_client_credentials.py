"""The access token request: body, client authentication, and what of it is shown."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, unquote_plus

from hypothesis import given
from hypothesis import strategies as st

from fake_ports import CANARY_SECRET, CANARY_TOKEN, rotation
from rotator.oauth import client_credentials
from rotator.oauth.models import BasicEncoding, ClientAuthentication
from token_answers import answer, credentials, valid


def basic_pair(encoding: BasicEncoding, client_id: str, client_secret: str) -> str:
    request = client_credentials.token_request(
        rotation(basic_encoding=encoding), credentials(client_id, client_secret)
    )
    kind, _, encoded = request.headers["Authorization"].value.partition(" ")
    assert kind == "Basic"
    return base64.b64decode(encoded, validate=True).decode()


def test_request_body_has_the_documented_form() -> None:
    request = client_credentials.token_request(
        rotation(token_request_params={"expiration": "86400"}), credentials()
    )
    assert request.body.value == "grant_type=client_credentials&scope=*&expiration=86400"


def test_empty_scope_is_omitted_from_the_body() -> None:
    body = client_credentials.token_request(rotation(scope=""), credentials()).body.value
    assert body == "grant_type=client_credentials"


def test_raw_basic_sends_id_and_secret_as_they_are() -> None:
    assert basic_pair(BasicEncoding.RAW, "id", "a+/=:%é") == "id:a+/=:%é"


def test_form_basic_encodes_id_and_secret_first() -> None:
    assert basic_pair(BasicEncoding.FORM, "i:d", "a+/=:%é b") == "i%3Ad:a%2B%2F%3D%3A%25%C3%A9+b"


@given(st.text(min_size=1), st.text(min_size=1))
def test_strict_server_decodes_form_encoded_basic_credentials(client_id: str, client_secret: str) -> None:
    encodable = (client_id + client_secret).encode(errors="replace").decode()
    if encodable != client_id + client_secret:
        return  # lone surrogates are no text
    got_id, _, got_secret = basic_pair(BasicEncoding.FORM, client_id, client_secret).partition(":")
    assert (unquote_plus(got_id), unquote_plus(got_secret)) == (client_id, client_secret)


def test_client_secret_post_sends_secret_in_body_without_header() -> None:
    by_post = rotation(client_authentication=ClientAuthentication.POST)
    request = client_credentials.token_request(by_post, credentials())
    assert request.client.token_endpoint == by_post.token_endpoint
    assert "Authorization" not in request.headers
    assert request.ambiguous_basic is False
    assert parse_qs(request.body.value)["client_secret"] == [CANARY_SECRET]
    assert parse_qs(request.body.value)["client_id"] == ["client"]


def test_neither_request_nor_answer_shows_a_secret() -> None:
    request = client_credentials.token_request(rotation(), credentials())
    shown = repr(request) + repr(answer(valid())) + repr(credentials())
    encoded = base64.b64encode(f"client:{CANARY_SECRET}".encode()).decode()
    assert CANARY_SECRET not in shown
    assert "client_id='client'" not in repr(request)
    assert encoded not in shown
    assert CANARY_TOKEN not in shown
