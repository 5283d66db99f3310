"""The circuit breaker of a token endpoint."""

from __future__ import annotations

from rotator.errors import TokenEndpointUnavailable
from rotator.fleet.circuit_breaker import COOL_DOWN_SECONDS, FAILURES_TO_OPEN, CircuitBreaker, State

DOWN = TokenEndpointUnavailable("down", advice="wait")


class Endpoint:
    """A circuit breaker with a clock that the test advances."""

    def __init__(self) -> None:
        self.now = 100.0
        self.breaker = CircuitBreaker(lambda: self.now)

    def fail(self, times: int = 1, error: TokenEndpointUnavailable = DOWN) -> None:
        for _ in range(times):
            self.breaker.begin()
            self.breaker.end(answered=False, error=error)

    def answer(self) -> None:
        self.breaker.begin()
        self.breaker.end(answered=True)


def test_half_open_lets_one_renewal_begin_at_a_time() -> None:
    endpoint = Endpoint()
    assert endpoint.breaker.allows()
    endpoint.breaker.begin()
    assert not endpoint.breaker.allows()
    endpoint.breaker.end(answered=False)
    assert (endpoint.breaker.allows(), endpoint.breaker.state) == (True, State.HALF_OPEN)


def test_answer_closes_circuit() -> None:
    endpoint = Endpoint()
    endpoint.answer()
    endpoint.breaker.begin()
    assert (endpoint.breaker.state, endpoint.breaker.allows()) == (State.CLOSED, True)


def test_failures_in_a_row_open_circuit() -> None:
    endpoint = Endpoint()
    endpoint.fail(FAILURES_TO_OPEN - 1)
    assert (endpoint.breaker.state, endpoint.breaker.allows()) == (State.HALF_OPEN, True)
    endpoint.fail()
    assert (endpoint.breaker.state, endpoint.breaker.allows()) == (State.OPEN, False)
    assert endpoint.breaker.error is DOWN


def test_error_that_is_not_repeated_opens_circuit_for_the_run() -> None:
    endpoint = Endpoint()
    endpoint.answer()
    endpoint.fail(error=TokenEndpointUnavailable("HTTP 407", advice="log in", retryable=False))
    endpoint.now += 10 * COOL_DOWN_SECONDS
    assert (endpoint.breaker.state, endpoint.breaker.allows()) == (State.OPEN, False)


def test_closed_circuit_tolerates_failures_that_are_not_in_a_row() -> None:
    endpoint = Endpoint()
    endpoint.answer()
    for _ in range(5):
        endpoint.fail(FAILURES_TO_OPEN - 1)
        assert endpoint.breaker.state is State.CLOSED
        endpoint.answer()
        assert endpoint.breaker.error is None


def test_open_circuit_is_half_open_after_its_cool_down() -> None:
    endpoint = Endpoint()
    endpoint.fail(FAILURES_TO_OPEN)
    endpoint.now += COOL_DOWN_SECONDS - 0.1
    assert endpoint.breaker.state is State.OPEN
    endpoint.now += 0.1
    assert (endpoint.breaker.state, endpoint.breaker.allows()) == (State.HALF_OPEN, True)


def test_failure_after_cool_down_opens_circuit_again() -> None:
    endpoint = Endpoint()
    endpoint.fail(FAILURES_TO_OPEN)
    endpoint.now += COOL_DOWN_SECONDS
    endpoint.fail()
    assert endpoint.breaker.state is State.OPEN


def test_answer_after_cool_down_closes_circuit() -> None:
    endpoint = Endpoint()
    endpoint.fail(FAILURES_TO_OPEN)
    endpoint.now += COOL_DOWN_SECONDS
    endpoint.answer()
    endpoint.fail()
    assert endpoint.breaker.state is State.CLOSED


def test_renewal_without_request_keeps_failure_count() -> None:
    endpoint = Endpoint()
    endpoint.fail(FAILURES_TO_OPEN - 1)
    endpoint.breaker.begin()
    endpoint.breaker.end(answered=False)
    endpoint.fail()
    assert endpoint.breaker.state is State.OPEN


def test_half_open_circuit_waits_for_renewals_begun_earlier() -> None:
    endpoint = Endpoint()
    endpoint.answer()
    for _ in range(FAILURES_TO_OPEN + 2):
        endpoint.breaker.begin()
    for _ in range(FAILURES_TO_OPEN):
        endpoint.breaker.end(answered=False, error=DOWN)
    endpoint.now += COOL_DOWN_SECONDS
    endpoint.breaker.end(answered=False)
    assert (endpoint.breaker.state, endpoint.breaker.allows()) == (State.HALF_OPEN, False)
    endpoint.breaker.end(answered=False)
    assert endpoint.breaker.allows()
