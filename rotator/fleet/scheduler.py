"""Schedules the renewals of one run: decides which renewal begins next and when, until the time is over.

One thread makes these decisions and waits for the renewals. The most urgent renewal begins first, as far as
the endpoints' circuit breakers, the limits on concurrent renewals and the write rate allow it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass
from urllib.parse import urlsplit

from rotator.errors import TokenEndpointUnavailable, TokenRequestError
from rotator.fleet.circuit_breaker import CircuitBreaker, State
from rotator.fleet.executor import Executor, MakeExecutor, executor_for
from rotator.fleet.urgency import Due, by_urgency
from rotator.fleet.write_rate import WriteRate
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.models import Secret
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Result
from rotator.renewal.ports import ParameterStore, Ports, Run, SecretStore, TokenEndpoint
from rotator.renewal.renew import rotate
from rotator.renewal.results import failed_with, postponed

MAX_RENEWALS = 40
"""Concurrent renewals at most. They mostly wait for the token endpoint: with answers after 100 ms, 16
concurrent renewals achieved two thirds of the rate that 40 achieve.
"""

MAX_RENEWALS_PER_HOST = 36
"""Concurrent renewals with the same host at most: a slow host leaves some to the others."""

RETRY_BUDGET_SECONDS = 10.0
"""For the retries of one rotation while other rotations wait for the same host, or for a thread."""

TIME_RESERVE_SECONDS = 5.0
"""For token requests: no renewal begins in less remaining time. In a short run, an eighth of its time."""


@dataclass(kw_only=True, eq=False)
class Scheduler:
    """Renews the due rotations; reports each result as soon as it is known, from any of several threads."""

    due: InitVar[Iterable[Due]]
    ports: Ports
    run: Run
    report: Callable[[Result], None]
    write_rate: WriteRate
    shared: bool

    def __post_init__(self, due: Iterable[Due]) -> None:
        """Sort the due rotations by urgency, and make a circuit breaker for each endpoint."""
        self._waiting = by_urgency(due, self.run.now())
        self._hosts = Counter(map(_host, self._waiting))
        self._is_shared = self.shared or len(self._waiting) > MAX_RENEWALS
        # The remaining time of the run serves as a clock that never goes back.
        endpoints = {due.rotation.token_endpoint for due in self._waiting}
        self._breakers = {url: CircuitBreaker(lambda: -self.run.deadline.remaining()) for url in endpoints}
        self._running: Counter[str] = Counter()
        self._finished: list[tuple[Due, _RenewalPorts]] = []
        reserve = min(TIME_RESERVE_SECONDS, self.run.budget / 8)
        self._deadline = self.run.request_deadline.earlier_by(reserve)

    def renew(self, make_executor: MakeExecutor | None = None) -> int:
        """Renew as many rotations as the run has time for; return the number of postponed ones."""
        with (make_executor or executor_for)(len(self._waiting), MAX_RENEWALS) as executor:
            while (seconds := self._begin_next(executor)) is not None:
                executor.wait(None if math.isinf(seconds) else seconds)
                while self._finished:
                    due, ports = self._finished.pop()
                    self._running[_host(due)] -= 1
                    self._breaker(due).end(answered=ports.answered, error=ports.error)
        return sum(map(self._report_not_begun, self._waiting))

    def _begin_next(self, executor: Executor) -> float | None:
        """Begin the most urgent renewal that may begin; return the seconds until another may begin.

        Infinity means that no other renewal can begin until a running one ends. None means that no renewal is
        running, and that no other can begin in this run.
        """
        index, delay = self._next_index(), self.write_rate.delay()
        if index is None or delay > self._deadline.remaining():
            return math.inf if self._running.total() else None
        if delay == 0:
            self._begin(self._waiting.pop(index), executor)
        return delay

    def _next_index(self) -> int | None:
        """Return the index of the most urgent renewal that limits and circuit breakers allow."""
        if self._running.total() >= MAX_RENEWALS:
            return None
        allowed = (
            index
            for index, due in enumerate(self._waiting)
            if self._running[_host(due)] < MAX_RENEWALS_PER_HOST and self._breaker(due).allows()
        )
        return next(allowed, None)

    def _begin(self, due: Due, executor: Executor) -> None:
        if not self.run.dry_run:
            self.write_rate.count_renewal()
        self._running[_host(due)] += 1
        self._breaker(due).begin()
        others_wait = self._is_shared or self._hosts[_host(due)] > 1
        ports = _RenewalPorts(self.ports, RETRY_BUDGET_SECONDS if others_wait else math.inf)
        executor.start(lambda: self._renew(due, ports))

    def _renew(self, due: Due, ports: _RenewalPorts) -> None:
        """Renew one rotation and report its result, in a thread of its own."""
        self.report(rotate(due.rotation, due.stored, ports, self.run))
        self._finished.append((due, ports))

    def _report_not_begun(self, due: Due) -> bool:
        """Report a rotation whose renewal did not begin; return whether lack of time was the reason."""
        error = self._breaker(due).error
        if error is None or self._breaker(due).state is State.CLOSED:
            self.report(postponed(due.rotation, due.stored, self.run))
            return True
        reason = f"requests of other rotations to this endpoint failed: {error.problem}"
        unavailable = TokenEndpointUnavailable(f"no request was sent, because {reason}", advice=error.advice)
        self.report(failed_with(due.rotation, due.stored, unavailable, self.run))
        return False

    def _breaker(self, due: Due) -> CircuitBreaker:
        return self._breakers[due.rotation.token_endpoint]


def _host(due: Due) -> str:
    """Return the host of a rotation's token endpoint, with its port."""
    parts = urlsplit(due.rotation.token_endpoint)
    return f"{parts.hostname}:{parts.port or 443}"


@dataclass(eq=False)
class _RenewalPorts:
    """The ports of one renewal. As its token endpoint, it limits the retries and records the answer."""

    ports: Ports
    retry_budget: float
    answered: bool = False
    error: TokenEndpointUnavailable | None = None

    @property
    def parameters(self) -> ParameterStore:
        return self.ports.parameters

    @property
    def secrets(self) -> SecretStore:
        return self.ports.secrets

    @property
    def token_endpoint(self) -> TokenEndpoint:
        return self

    def request(
        self, request: TokenRequest, *, deadline: Deadline, retry_until: Deadline | None = None
    ) -> TokenResponse:
        """Request a token, with retries within the budget; the wait for an answer is not shortened."""
        retry_until = (retry_until or deadline).at_most(self.retry_budget)
        endpoint = self.ports.token_endpoint
        try:
            response = endpoint.request(request, deadline=deadline, retry_until=retry_until)
        except TokenEndpointUnavailable as error:
            self.error = error.again()
            raise
        except TokenRequestError:
            self.answered = True
            raise
        self.answered = True
        return response

    def probe(
        self, url: str, token: Secret, *, deadline: Deadline, headers: Mapping[str, Secret] | None = None
    ) -> None:
        """Probe the API without a retry budget: a slow API must not cost the token, which was issued."""
        self.ports.token_endpoint.probe(url, token, deadline=deadline, headers=headers)
