"""django-oauth-toolkit as the token endpoint: another provider, by settings alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests

from conftest import CHECKOUT
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account

CLIENT_SECRET = "canary-secret +/=:%é"


@pytest.fixture(scope="module")
def token_endpoint() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("django_server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdin
    assert server.stdout
    try:
        client = {"client_id": "strict client", "client_secret": CLIENT_SECRET}
        server.stdin.write(json.dumps(client) + "\n")
        server.stdin.flush()
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.wait(timeout=20)
        server.stdout.close()


def rotate(
    moto: Account, environment: Mapping[str, str], **settings: str
) -> subprocess.CompletedProcess[str]:
    moto.create_secret("strict", "strict client", CLIENT_SECRET)
    return subprocess.run(
        ["rotator", "rotate", "--json"],
        env={
            **environment,
            **client_environment(moto.endpoint),
            "ROTATOR_SECRET_ID": "strict",
            "ROTATOR_PARAMETER_NAME": "/strict/token",
            "ROTATOR_SCOPE": "topics",
            **settings,
        },
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "settings",
    [{"ROTATOR_BASIC_ENCODING": "form"}, {"ROTATOR_CLIENT_AUTHENTICATION": "client_secret_post"}],
    ids=["form-encoded Basic", "client_secret_post"],
)
def test_a_strict_provider_works_by_settings_alone(
    settings: dict[str, str], token_endpoint: str, moto: Account, clean_environment: Mapping[str, str]
) -> None:
    resource = token_endpoint.replace("/o/token/", "/open/")
    endpoints = {"ROTATOR_TOKEN_ENDPOINT": token_endpoint, "ROTATOR_VERIFY_URL": resource}
    done = rotate(moto, clean_environment, **endpoints, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    token = moto.client("ssm").get_parameter(Name="/strict/token", WithDecryption=True)["Parameter"]["Value"]
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(resource, headers=headers, timeout=10).text == "open"
    assert CLIENT_SECRET not in done.stdout + done.stderr
    assert token not in done.stdout + done.stderr


def test_refused_raw_encoding_names_the_encoding_setting(
    token_endpoint: str, moto: Account, clean_environment: Mapping[str, str]
) -> None:
    done = rotate(moto, clean_environment, ROTATOR_TOKEN_ENDPOINT=token_endpoint)
    error = json.loads(done.stdout)["rotations"][0]["error"]
    assert done.returncode == 1
    assert "invalid_client" in error
    assert "basic_encoding" in error
