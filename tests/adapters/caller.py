"""This side of a request: the adapter with a budget, on a clock that its sleeping moves."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any

from fake_ports import CANARY_SECRET, CANARY_TOKEN, Clock, rotation
from rotator.adapters.runtime.http_transport import HttpTransport
from rotator.adapters.runtime.token_endpoint import HttpTokenEndpoint
from rotator.oauth import client_credentials
from rotator.oauth.client_credentials import TokenResponse
from rotator.oauth.models import ClientAuthentication, ClientCredentials, Secret, TokenRequestFormat
from rotator.observability.metrics import Counters
from rotator.renewal.deadline import Deadline

GATEWAY_KEY = "canary-gateway-key"
CREDENTIALS = ClientCredentials(
    client_id="client",
    client_secret=Secret(CANARY_SECRET),
    version_id="v1",
    members={"gateway.key": Secret(GATEWAY_KEY)},
)
BASIC = "Basic " + base64.b64encode(f"client:{CANARY_SECRET}".encode()).decode()


class Caller:
    """The adapter, what it slept and used, and the time it has left: real and slept time together."""

    def __init__(self, budget: float = 30.0) -> None:
        self.slept: list[float] = []
        self.counters = Counters()
        self._clock = Clock()
        self._endpoint = HttpTokenEndpoint(
            HttpTransport(now=self._clock.now), now=self._clock.now, sleep=self._sleep, counters=self.counters
        )
        self._budget = budget
        self._began = time.monotonic()

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._clock.sleep(seconds)

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def _time_left(self) -> float:
        return self._budget - self.elapsed() - sum(self.slept)

    def request(self, url: str, **changes: Any) -> TokenResponse:
        asked = client_credentials.token_request(rotation(token_endpoint=url, **changes), CREDENTIALS)
        return self._endpoint.request(asked, deadline=Deadline(self._time_left))

    def post(self, url: str) -> TokenResponse:
        return self.request(url, client_authentication=ClientAuthentication.POST)

    def keyed(self, url: str) -> TokenResponse:
        """Request in JSON, with a key out of the secret as a header and as a parameter."""
        return self.request(
            url,
            token_request_format=TokenRequestFormat.JSON,
            secret_headers={"X-Gateway-Key": "gateway.key"},
            secret_params={"key": "gateway.key"},
        )

    def probe(self, url: str, headers: Mapping[str, Secret] | None = None) -> None:
        self._endpoint.probe(url, Secret(CANARY_TOKEN), deadline=Deadline(self._time_left), headers=headers)

    def keyed_probe(self, url: str) -> None:
        """Probe with a key out of the secret as a header."""
        self.probe(url, {"X-Gateway-Key": Secret(GATEWAY_KEY)})
