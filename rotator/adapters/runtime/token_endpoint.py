"""The token endpoint: a transport sends requests, and tenacity retries them while time remains."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import tenacity

from rotator import __version__
from rotator.errors import (
    MORE_TIME,
    RotatorError,
    TokenEndpointUnavailable,
    TokenRequestError,
    TokenVerificationError,
)
from rotator.oauth import client_assertion, token_error
from rotator.oauth.client_assertion import Signer
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.models import Secret
from rotator.observability.metrics import Counters
from rotator.renewal.deadline import Deadline

logger = logging.getLogger(__name__)

SHORTEST_ATTEMPT_SECONDS = 1.0
"""The remaining seconds without which no attempt begins."""

SHORTEST_WAIT_SECONDS = 0.25
"""The least wait between attempts, so that an overloaded endpoint recovers."""

HEADERS = {"Accept": "application/json", "User-Agent": f"rotator/{__version__}"}

_longest_wait = tenacity.wait_exponential(multiplier=0.5, max=10)


class Transport(Protocol):
    """Sends one request and returns the answer, of any status: HttpTransport, or a simulated endpoint."""

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | None, seconds: float
    ) -> TokenResponse:
        """Raise TokenEndpointUnavailable if a retry may help, TokenRequestError otherwise."""


@dataclass(frozen=True)
class HttpTokenEndpoint:
    """The port TokenEndpoint over HTTP.

    ``spread`` returns a random wait between two bounds, ``private_trust`` a transport that trusts the
    certificates in a parameter. ``transport`` also sends probes.
    """

    transport: Transport
    _: KW_ONLY
    now: Callable[[], datetime]
    sleep: Callable[[float], None] = time.sleep
    spread: Callable[[float, float], float] = random.uniform
    counters: Counters = field(default_factory=Counters)
    signer: Signer | None = None
    private_trust: Callable[[str], Transport] | None = None

    def request(
        self, request: TokenRequest, *, deadline: Deadline, retry_until: Deadline | None = None
    ) -> TokenResponse:
        """Send the POST request until it is answered or refused, or no time remains for a retry."""
        transport = self.transport
        if request.client.ca_parameter_name:
            assert self.private_trust  # noqa: S101 - bootstrap always passes it
            transport = self.private_trust(request.client.ca_parameter_name)
        headers = _with_headers(HEADERS, request.headers)
        is_first, unanswered = True, False

        def attempt() -> TokenResponse:
            nonlocal is_first, unanswered
            body = self._body(request, deadline)
            seconds = _seconds_for_attempt(deadline)
            self.counters.add(token_requests=int(is_first), token_request_attempts=1)
            is_first = False
            try:
                response = transport(
                    "POST", request.client.token_endpoint, headers, body=body, seconds=seconds
                )
            except TokenEndpointUnavailable as error:
                unanswered = unanswered or error.may_have_issued
                raise
            token_error.check_status(request, response, self.now())
            return response

        try:
            response = self._retried(attempt, deadline, retry_until or deadline)
        except RotatorError as error:
            raise (error.again(may_have_issued=True) if unanswered else error) from None
        return replace(response, unanswered_before=unanswered)

    def _body(self, request: TokenRequest, deadline: Deadline) -> bytes:
        """Return the body of an attempt, with an assertion that no other attempt uses."""
        body = request.body
        if algorithm := client_assertion.signing_algorithm(request.client):
            assert self.signer  # noqa: S101 - bootstrap always passes one
            _seconds_for_attempt(deadline)  # before KMS signs an assertion that cannot be sent
            body = request.body_with(
                client_assertion.parameters(
                    request.client, request.credentials, algorithm, self.signer, self.now()
                )
            )
        return body.value.encode("ascii")

    def probe(
        self, url: str, token: Secret, *, deadline: Deadline, headers: Mapping[str, Secret] | None = None
    ) -> None:
        """Send the GET request with the token until it is answered, or no time remains for a retry."""
        sent = {**_with_headers(HEADERS, headers or {}), "Authorization": f"Bearer {token.value}"}

        def attempt() -> TokenResponse:
            seconds = _seconds_for_attempt(deadline)
            response = self.transport("GET", url, sent, body=None, seconds=seconds)
            if token_error.is_retryable(response.status):
                raise TokenEndpointUnavailable(
                    f"HTTP {response.status}",
                    advice="",
                    retry_after=token_error.retry_after(response.retry_after, self.now()),
                )
            return response

        try:
            status = self._retried(attempt, deadline, deadline).status
        except TokenRequestError as error:
            problem = error.problem
        else:
            if 200 <= status < 300:
                return
            problem = f"HTTP {status}"
        raise TokenVerificationError(
            f"the new token was not published, because verify_url did not accept it: {problem}",
            advice="check the client's permissions at the provider, and verify_url",
        )

    def _retried(
        self, attempt: Callable[[], TokenResponse], deadline: Deadline, retry_until: Deadline
    ) -> TokenResponse:
        """Return the answer of an attempt after retries: random exponential waits or Retry-After."""

        def stop(state: tenacity.RetryCallState) -> bool:
            wait = state.upcoming_sleep
            return wait + SHORTEST_ATTEMPT_SECONDS > deadline.remaining() or wait > retry_until.remaining()

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: getattr(error, "retryable", False)),
            wait=self._wait,
            stop=stop,
            sleep=self.sleep,
            before_sleep=_log_retry,
            retry_error_callback=_give_up,
        )(attempt)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return a random wait below a doubling bound, or the endpoint's Retry-After if that is longer."""
        wait = self.spread(SHORTEST_WAIT_SECONDS, max(SHORTEST_WAIT_SECONDS, _longest_wait(state)))
        return max(wait, _unavailable(state).retry_after or 0.0)


def _with_headers(headers: Mapping[str, str], more: Mapping[str, Secret]) -> dict[str, str]:
    """Return all headers; requests sends the second of two with the same name, in any case."""
    return {**headers, **{name: value.value for name, value in more.items()}}


def _seconds_for_attempt(deadline: Deadline) -> float:
    """Return the seconds that an attempt may take; raises TokenEndpointUnavailable if they are too few."""
    seconds = deadline.remaining()
    if seconds < SHORTEST_ATTEMPT_SECONDS:
        problem = "the run's time ran out before a token was requested"
        raise TokenEndpointUnavailable(problem, advice=MORE_TIME)
    return seconds


def _unavailable(state: tenacity.RetryCallState) -> TokenEndpointUnavailable:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TokenEndpointUnavailable)  # noqa: S101 - the only error retried
    return error


def _log_retry(state: tenacity.RetryCallState) -> None:
    logger.info(
        "attempt %d: %s; next attempt in %.1f s",
        state.attempt_number,
        _unavailable(state).problem,
        state.upcoming_sleep,
    )


def _give_up(state: tenacity.RetryCallState) -> Any:
    error = _unavailable(state)
    problem = f"{error.problem} (attempt {state.attempt_number}; no time for another)"
    if error.retry_after:
        problem += f", and asked for a retry after {error.retry_after:.0f} s"
    raise error.again(problem=problem)
