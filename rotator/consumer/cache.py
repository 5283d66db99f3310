"""The state that a consumer keeps between two reads, and the error if it has no valid token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rotator.consumer.token_clock import CachedToken, Moment, Need
from rotator.errors import RotatorError, TokenExpired, TokenUnavailable

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 10.0
"""The first pause hardly delays a request; the longest limits how late a corrected parameter is noticed."""


@dataclass(frozen=True, kw_only=True)
class Cache:
    """The last valid token, the error of the last read, and the reads since one that returned a new token."""

    now: Callable[[], Moment]
    cached: CachedToken | None = None
    failure: RotatorError | None = None
    repeats: int = 0
    read_at: Moment | None = None

    def after(self, read: CachedToken | RotatorError) -> Cache:
        """Return the cache after a read."""
        repeated = replace(self, repeats=self.repeats + 1, read_at=self.now())
        if isinstance(read, RotatorError):
            return replace(repeated, failure=read)
        if self.cached is None or self.cached.value != read.value:
            return Cache(now=self.now, cached=read)  # a new token ends the pauses
        return replace(repeated, cached=read, failure=None)

    def need(self) -> Need:
        """Return how urgent the next read is."""
        return self.cached.need(self.now()) if self.cached else Need.REPLACEMENT

    def may_read(self) -> bool:
        """Return whether Parameter Store may be read again: the pause doubles with each repeat."""
        if self.read_at is None:
            return True
        seconds = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self.repeats, 20))
        return self.now().seconds_since(self.read_at) >= seconds

    def valid_token(self) -> str | None:
        """Return the token, None if there is none or it has expired."""
        return self.cached.value if self.cached and self.cached.remaining(self.now()) > 0 else None

    def error(self, parameter_name: str) -> RotatorError:
        """Return the error for a caller without a token: a new object, since raising it adds frames to it."""
        if self.failure:
            problem = self.failure.problem
            if self.cached and not isinstance(self.failure, TokenExpired):
                problem += f", and the last token expired {-self.cached.remaining(self.now()):.0f} s ago"
            return self.failure.again(problem=problem)
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
