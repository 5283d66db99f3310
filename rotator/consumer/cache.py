"""The state that a consumer keeps between two reads, and the error if it has no valid token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rotator.consumer.backoff import Backoff
from rotator.consumer.token_clock import CachedToken, Moment, Need
from rotator.errors import RotatorError, TokenExpired, TokenUnavailable


@dataclass(frozen=True, kw_only=True)
class Cache:
    """The last valid token, the error of the last read, and the pause before the next one."""

    now: Callable[[], Moment]
    cached: CachedToken | None = None
    failure: RotatorError | None = None
    backoff: Backoff = field(default_factory=Backoff)

    def after(self, read: CachedToken | RotatorError) -> Cache:
        """Return the cache after a read."""
        longer = self.backoff.longer(self.now())
        if isinstance(read, RotatorError):
            return replace(self, failure=read, backoff=longer)
        is_new = self.cached is None or self.cached.value != read.value
        return replace(self, cached=read, failure=None, backoff=Backoff() if is_new else longer)

    def need(self) -> Need:
        """Return how urgent the next read is."""
        return self.cached.need(self.now()) if self.cached else Need.REPLACEMENT

    def may_read(self) -> bool:
        """Return whether Parameter Store may be read again."""
        return self.backoff.is_over(self.now())

    def valid_token(self) -> str | None:
        """Return the token, None if there is none or it has expired."""
        return self.cached.value if self.cached and self.cached.remaining(self.now()) > 0 else None

    def error(self, parameter_name: str) -> RotatorError:
        """Return the error for a caller without a token: a new object, since raising it adds frames to it."""
        if self.failure:
            problem = self.failure.problem
            if self.cached and not isinstance(self.failure, TokenExpired):
                problem += f", and the last token expired {-self.cached.remaining(self.now()):.0f} s ago"
            return type(self.failure)(problem, advice=self.failure.advice, retry=self.failure.retry)
        if self.cached:
            return expired(parameter_name, "has expired, and the last read returned no newer one")
        return TokenUnavailable(
            f"timed out while waiting for the parameter {parameter_name} to be read",
            advice="check the network path to AWS, and the source of the AWS credentials",
        )


def expired(parameter_name: str, how: str) -> TokenExpired:
    """Return the error for a parameter whose token has expired."""
    return TokenExpired(
        f"the token in {parameter_name} {how}",
        advice="ask the operator of the rotation to renew it; `rotator status` shows why it was not renewed",
    )
