"""The three samples of the Authorization API's page, sent as printed, obtain a token."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from rotator.devstack.authorization_api import AuthorizationApi
from rotator.devstack.http_server import serving

HTTP_SAMPLE = """\
POST /oauth2/token HTTP/1.1
Host: auth.healthwise.net
Content-Type: application/x-www-form-urlencoded
Authorization: Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW

grant_type="client_credentials"&scope="*\""""

CURL_SAMPLE = [
    *("curl", "-k", "-i", "-X", "POST", "{address}/oauth2/token"),
    *("--header", "Content-Type: application/x-www-form-urlencoded"),
    *("--user", "your client id:your client secret"),
    *("--data", "grant_type=client_credentials&scope=*"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(AuthorizationApi({"client": "secret+/="}).app) as address:
        yield address


def test_http_sample_obtains_a_token(address: str) -> None:
    head, _, body = HTTP_SAMPLE.partition("\n\n")
    # A message on the wire ends its lines with CRLF and says its length; the rest is as printed.
    head += f"\nContent-Length: {len(body)}\nConnection: close"
    message = head.replace("\n", "\r\n") + "\r\n\r\n" + body
    server = urlsplit(address)
    with socket.create_connection((server.hostname or "", server.port or 0), timeout=10) as connection:
        connection.sendall(message.encode())
        answer = connection.makefile().read()
    assert answer.startswith("HTTP/1.1 200")
    assert_is_token(json.loads(answer.partition("\n\n")[2]))


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_sample_obtains_a_token(address: str) -> None:
    command = [part.replace("{address}", address) for part in CURL_SAMPLE]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    assert answer.startswith("HTTP/1.1 200")
    assert_is_token(json.loads(answer.partition("\n\n")[2]))


def test_javascript_sample_obtains_a_token(address: str) -> None:
    """What the sample's library sent: JSON in spite of the header, no space after Basic.

    So does request 2.40 on Node. The last one, 2.88, refuses to send the sample at all.
    """
    pair = base64.b64encode(b"client:secret+/=").decode()
    answer = requests.post(
        f"{address}/oauth2/token",
        data=json.dumps({"grant_type": "client_credentials", "scope": "*", "expiration": 86400}),
        headers={
            "Authorization": "Basic" + pair,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        },
        timeout=10,
    )
    assert answer.status_code == 200
    assert_is_token(answer.json())


def assert_is_token(answer: dict[str, object]) -> None:
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 86400)
    assert str(answer["access_token"]).count(".") == 2
