"""Answers of a token endpoint to a request with canary credentials, and the tokens in them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from fake_ports import CANARY_SECRET, CANARY_TOKEN, DAY, START, rotation
from rotator.oauth import client_credentials, token_response
from rotator.oauth.client_credentials import TokenResponse
from rotator.oauth.models import AccessToken, ClientCredentials, Secret
from rotator.renewal.renew import check_size

NOW = START + timedelta(seconds=2)


def credentials(client_id: str = "client", client_secret: str = CANARY_SECRET) -> ClientCredentials:
    return ClientCredentials(client_id=client_id, client_secret=Secret(client_secret), version_id="v1")


def answer(body: object, status: int = 200, retry_after: str | None = None) -> TokenResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return TokenResponse(status=status, body=raw, requested_at=START, retry_after=retry_after)


def valid(**changes: Any) -> dict[str, Any]:
    fields = {"access_token": CANARY_TOKEN, "token_type": "Bearer", "expires_in": DAY, **changes}
    return {name: value for name, value in fields.items() if value is not None}


def read(body: object, **settings: Any) -> AccessToken:
    of = rotation(**settings)
    request = client_credentials.token_request(of, credentials())
    token = token_response.read_token(request, answer(body), NOW)
    check_size(of, token)
    return token
