"""The provider of tokens: an endpoint that fails, and tokens that end when it says so, not we.

It stands in for HTTP only: it gives statuses and bodies, as ill-formed as real ones, to the retry layer
and the checks that run in production.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from rotator.errors import TokenEndpointUnavailable
from rotator.oauth.client_credentials import TokenResponse
from rotator.simulation.scenario import REPEATED_UNTIL, SHORTEST_OF_VARYING, Behaviour, Weather
from rotator.simulation.timeline import START, Timeline

LATENCY = (0.05, 0.5)
SLOW = (4.0, 9.0)
"""Seconds that a request is on its way, and again its answer, from and to: usually, and at a slow host."""

TIMEOUT = 20.0
"""Seconds after which an attempt without an answer is given up, as in adapters.http."""

DOWN: tuple[tuple[int, bytes, str | None], ...] = (
    (500, b"", None),
    (502, b"<html>Bad Gateway</html>", None),
    (503, b"", "30"),
    (503, b"", "86400"),
    (429, b"slow down", None),
    (408, b"", None),
)
"""Answers while the endpoint is down: status, body, Retry-After."""

FAILURES = (
    *DOWN,
    (401, b'{"error": "invalid_client"}', None),
    (200, b"<html>Maintenance</html>", None),
    (200, b'{"error": "server_error"}', None),
    (200, b'{"access_token": "cut o', None),
)
"""Answers of an endpoint that fails now and then."""


@dataclass
class Issued:
    """A token as the provider knows it; times are seconds since the beginning.

    ``ends_at`` is its life's end as announced; ``revoked_at`` an earlier one that was not.
    """

    ends_at: float
    revoked_at: float | None = None

    def is_alive(self, now: float) -> bool:
        """Whether an API would accept it."""
        return now < self.ends_at and (self.revoked_at is None or now < self.revoked_at)


class Provider:
    """The authorization server, and the APIs that its tokens open.

    ``latency`` is how long a request is on its way, and its answer: from, to (seconds).
    """

    def __init__(
        self,
        timeline: Timeline,
        random: Random,
        weather: Weather,
        *,
        lifetime: float,
        behaviour: Behaviour = Behaviour.STEADY,
        clock_skew: float = 0,
    ) -> None:
        self.latency = LATENCY
        self.refuses_client = False
        self._timeline = timeline
        self._random = random
        self._weather = weather
        self._lifetime = lifetime
        self._newest: str | None = None
        self.behaviour = behaviour
        self.clock_skew = clock_skew
        self.issued: dict[str, Issued] = {}
        self.requests = 0
        self.outages: list[tuple[float, float]] = []
        self._next_outage = 0.0
        self._issued_at = 0.0

    def go_down_instead_of_issuing(self, seconds: float) -> None:
        """Begin an outage when it is to issue a token again: nothing worse can happen to a renewal.

        An outage that has not been followed by a new token yet is not made longer.
        """
        recovered = not self.outages or self._issued_at > self.outages[-1][1]
        if recovered:
            self._next_outage = seconds

    def exchange(
        self,
        sleep: Callable[[float], None],
        method: str,
        headers: Mapping[str, str],
        seconds: float,
    ) -> TokenResponse:
        """Answer a request as HttpTransport would, after some time."""
        requested_at = self._timeline.now()
        self.requests += method == "POST"
        sleep(self._latency())
        if self._is_failing():
            return self._failure(sleep, seconds)
        if self.refuses_client and method == "POST":
            return TokenResponse(status=401, body=b'{"error": "invalid_client"}', requested_at=requested_at)
        if method == "GET":
            status = 200 if self._opens(headers["Authorization"].removeprefix("Bearer ")) else 401
            return TokenResponse(status=status, body=b"", requested_at=requested_at)
        body = self._issue()
        sleep(self._latency())
        if self._random.random() < self._weather(self._timeline.seconds).endpoint:
            raise no_answer()  # after it was issued
        return TokenResponse(status=200, body=body, requested_at=requested_at)

    def _latency(self) -> float:
        return self._random.uniform(*self.latency)

    def _is_failing(self) -> bool:
        now = self._timeline.seconds
        if self._next_outage and not self._repeats(now):
            self.outages.append((now, now + self._next_outage))
            self._next_outage = 0.0
        if self.is_down():
            return True
        rate = self._weather(now).endpoint
        return rate > 0 and self._random.random() < rate

    def is_down(self) -> bool:
        """Whether an outage is under way."""
        now = self._timeline.seconds
        return (bool(self.outages) and now < self.outages[-1][1]) or self._weather(now).endpoint >= 1

    def _repeats(self, now: float) -> bool:
        """Whether it answers with the newest token once more instead of issuing another."""
        newest = self.issued.get(self._newest or "")
        if self.behaviour is not Behaviour.REPEATS or newest is None:
            return False
        return newest.ends_at - now > self._lifetime * REPEATED_UNTIL

    def _failure(self, sleep: Callable[[float], None], seconds: float) -> TokenResponse:
        failures = DOWN if self.is_down() else FAILURES
        kind = self._random.randrange(len(failures) + 2)
        if kind == len(failures):
            raise unreachable()
        if kind > len(failures):
            sleep(min(TIMEOUT, seconds))
            raise unreachable()
        status, body, retry_after = failures[kind]
        return TokenResponse(
            status=status, body=body, requested_at=self._timeline.now(), retry_after=retry_after
        )

    def _opens(self, token: str) -> bool:
        return token in self.issued and self.issued[token].is_alive(self._timeline.seconds)

    def _issue(self) -> bytes:
        now = self._timeline.seconds
        newest = self.issued.get(self._newest or "")
        if self._newest and newest and self._repeats(now):
            return self._answer(self._newest, int(newest.ends_at - now))
        if self.behaviour is Behaviour.ENDS_OLDER and newest:
            newest.revoked_at = now
        lifetime = self._lifetime
        if self.behaviour is Behaviour.VARIES:
            lifetime = self._random.uniform(lifetime * SHORTEST_OF_VARYING, lifetime)
        lifetime = int(lifetime)
        token = self._jwt(len(self.issued) + 1, now + lifetime)
        self.issued[token] = Issued(ends_at=now + lifetime)
        self._newest, self._issued_at = token, now
        return self._answer(token, lifetime)

    def _answer(self, token: str, expires_in: int) -> bytes:
        """The token response (RFC 6749, 5.1); where the clock is wrong, ``exp`` alone tells a token's end."""
        answer: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        if not self.clock_skew:
            answer["expires_in"] = expires_in
        return json.dumps(answer).encode()

    def _jwt(self, number: int, ends_at: float) -> str:
        """A JWT, whose ``exp`` is told by the provider's own clock."""
        exp = int((START + timedelta(seconds=ends_at + self.clock_skew)).timestamp())
        claims = json.dumps({"jti": number, "exp": exp}).encode()
        return ".".join(base64.urlsafe_b64encode(part).decode() for part in (b"{}", claims, b"signature"))


def unreachable() -> TokenEndpointUnavailable:
    """Return the error for an endpoint to which there was no connection."""
    return TokenEndpointUnavailable("the endpoint could not be reached", advice="none: it is simulated")


def no_answer() -> TokenEndpointUnavailable:
    """Return the error for a request without an answer: the request, or the answer to it, was lost."""
    return TokenEndpointUnavailable(
        "the endpoint did not answer", advice="none: it is simulated", may_have_issued=True
    )
