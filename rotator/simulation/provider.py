"""The provider of tokens: an endpoint that fails, and tokens that expire by the provider's own rules.

It replaces only HTTP: it returns statuses and bodies, as malformed as real ones, to the retry layer and the
checks of production.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from rotator.errors import TokenEndpointUnavailable
from rotator.oauth.client_credentials import TokenResponse
from rotator.simulation.calls import Call, failure
from rotator.simulation.scenario import REPEATED_UNTIL, SHORTEST_OF_VARYING, Behaviour, RatesAt, Scenario
from rotator.simulation.timeline import START, Timeline

LATENCY_SECONDS = (0.05, 0.5)
"""How long a request, and again its response, is in transit: from, to."""

TIMEOUT_SECONDS = 20.0
"""How long an attempt waits for a response, like adapters.runtime.http_transport."""

RESPONSES_WHILE_DOWN: tuple[tuple[int, bytes, str | None], ...] = (
    (500, b"", None),
    (502, b"<html>Bad Gateway</html>", None),
    (503, b"", "30"),
    (503, b"", "86400"),
    (429, b"slow down", None),
    (408, b"", None),
)
"""Status, body and Retry-After."""

FAILED_RESPONSES = (
    *RESPONSES_WHILE_DOWN,
    (401, b'{"error": "invalid_client"}', None),
    (200, b"<html>Maintenance</html>", None),
    (200, b'{"error": "server_error"}', None),
    (200, b'{"access_token": "cut o', None),
)
"""Responses of an endpoint that fails from time to time."""


@dataclass
class IssuedToken:
    """A token as the provider knows it: its announced expiry and its unannounced revocation.

    Times are seconds since the beginning.
    """

    expires_at: float
    revoked_at: float | None = None

    def is_valid(self, now: float) -> bool:
        """Return whether an API would accept it."""
        return now < self.expires_at and (self.revoked_at is None or now < self.revoked_at)


@dataclass
class Provider:
    """The authorization server of a scenario, and the APIs that accept its tokens."""

    _scenario: Scenario
    _timeline: Timeline
    _random: Random
    _rates_at: RatesAt
    latency: tuple[float, float] = LATENCY_SECONDS
    rejects_client: bool = False
    issued: dict[str, IssuedToken] = field(default_factory=dict)
    requests: int = 0
    outages: list[tuple[float, float]] = field(default_factory=list)
    _newest: tuple[str, IssuedToken] | None = None
    _newest_at: float = 0.0
    _next_outage: float = 0.0

    def go_down_instead_of_issuing(self, seconds: float) -> None:
        """Begin an outage with the next request for a new token: the worst moment for a renewal.

        If no token was issued since the last outage, begin none, so that outages do not add up.
        """
        if not self.outages or self._newest_at > self.outages[-1][1]:
            self._next_outage = seconds

    def exchange(
        self, sleep: Callable[[float], None], method: str, headers: Mapping[str, str], seconds: float
    ) -> TokenResponse:
        """Respond to a request as HttpTransport does, after some time, for which ``sleep`` delays its run.

        POST is a token request, GET a request to the API with the token; ``seconds`` is the timeout. Raises
        TokenEndpointUnavailable if there is no response.
        """
        requested_at = self._timeline.now()
        self.requests += method == "POST"
        sleep(self._random.uniform(*self.latency))
        if self._is_failing():
            return self._fail(sleep, seconds)
        if method == "GET":
            token = self.issued.get(headers["Authorization"].removeprefix("Bearer "))
            is_accepted = token is not None and token.is_valid(self._timeline.seconds)
            return TokenResponse(status=200 if is_accepted else 401, body=b"", requested_at=requested_at)
        if self.rejects_client:
            return TokenResponse(status=401, body=b'{"error": "invalid_client"}', requested_at=requested_at)
        body = self._issue()
        sleep(self._random.uniform(*self.latency))
        if self._random.random() < self._rates_at(self._timeline.seconds).endpoint:
            raise failure(Call.REQUEST_TOKEN)  # the token was issued, and its response was lost
        return TokenResponse(status=200, body=body, requested_at=requested_at)

    def is_down(self) -> bool:
        """Return whether an outage is under way."""
        now = self._timeline.seconds
        return (bool(self.outages) and now < self.outages[-1][1]) or self._rates_at(now).endpoint >= 1

    def _is_failing(self) -> bool:
        now = self._timeline.seconds
        if self._next_outage and not self._repeats(now):
            self.outages.append((now, now + self._next_outage))
            self._next_outage = 0.0
        rate = self._rates_at(now).endpoint
        return self.is_down() or (rate > 0 and self._random.random() < rate)

    def _repeats(self, now: float) -> bool:
        """Return whether the provider returns the newest token again instead of issuing another."""
        if self._scenario.behaviour is not Behaviour.REPEATS or self._newest is None:
            return False
        return self._newest[1].expires_at - now > self._scenario.lifetime * REPEATED_UNTIL

    def _fail(self, sleep: Callable[[float], None], seconds: float) -> TokenResponse:
        responses = RESPONSES_WHILE_DOWN if self.is_down() else FAILED_RESPONSES
        # A connection may also be refused, or time out.
        kind = self._random.randrange(len(responses) + 2)
        if kind < len(responses):
            status, body, retry_after = responses[kind]
            now = self._timeline.now()
            return TokenResponse(status=status, body=body, requested_at=now, retry_after=retry_after)
        if kind > len(responses):
            sleep(min(TIMEOUT_SECONDS, seconds))
        raise TokenEndpointUnavailable(
            "the endpoint could not be reached", advice="do nothing: it is simulated"
        )

    def _issue(self) -> bytes:
        """Return a token response (RFC 6749, 5.1); if the clock is wrong, only ``exp`` has its expiry."""
        now = self._timeline.seconds
        if self._newest and self._repeats(now):
            token, expires_in = self._newest[0], int(self._newest[1].expires_at - now)
        else:
            token, expires_in = self._issue_jwt(now)
        response: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        if not self._scenario.clock_skew:
            response["expires_in"] = expires_in
        return json.dumps(response).encode()

    def _issue_jwt(self, now: float) -> tuple[str, int]:
        """Issue a JWT whose ``exp`` follows the provider's own clock; return it and its lifetime."""
        if self._newest and self._scenario.behaviour is Behaviour.REVOKES_OLDER:
            self._newest[1].revoked_at = now
        longest = self._scenario.lifetime
        is_varied = self._scenario.behaviour is Behaviour.VARIES
        lifetime = int(self._random.uniform(longest * SHORTEST_OF_VARYING, longest) if is_varied else longest)
        exp = (START + timedelta(seconds=now + lifetime + self._scenario.clock_skew)).timestamp()
        claims = json.dumps({"jti": len(self.issued) + 1, "exp": int(exp)}).encode()
        token = ".".join(base64.urlsafe_b64encode(part).decode() for part in (b"{}", claims, b"signature"))
        self.issued[token] = IssuedToken(expires_at=now + lifetime)
        self._newest, self._newest_at = (token, self.issued[token]), now
        return token, lifetime
