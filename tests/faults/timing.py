"""The time of the runs: sleeps take no time, and the clock can be put forward.

Everything that makes the product wait less than it would is here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import botocore.endpoint
import pytest

from rotator import bootstrap
from rotator.adapters.runtime import aws_client, http_transport
from rotator.adapters.runtime.token_endpoint import HttpTokenEndpoint
from rotator.fleet.executor import InlineExecutor
from rotator.fleet.write_rate import WriteRate
from rotator.renewal.policy import RUN_BUDGET_SECONDS

SDK_READ_TIMEOUT: float = aws_client.CONFIG.read_timeout  # type: ignore[attr-defined]
SHORT_SDK_TIMEOUT = 1.0
SHORT_TIMEOUT = 0.3


@dataclass
class Timing:
    """What would have been slept between tries and before writes, and how far the clock was put forward."""

    sdk_slept: list[float] = field(default_factory=list)
    endpoint_slept: list[float] = field(default_factory=list)
    write_rate_slept: list[float] = field(default_factory=list)
    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead + timedelta(seconds=self._slept())

    def passed(self) -> float:
        """Seconds on a clock of its own: real and slept time together."""
        return time.monotonic() + self._slept()

    def _slept(self) -> float:
        return sum(self.sdk_slept) + sum(self.endpoint_slept) + sum(self.write_rate_slept)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Take the place of the product's clocks, of both its retry layers' sleep and of the write rate's."""
        patch.setattr(bootstrap, "utc_now", self.now)
        patch.setattr(bootstrap, "time", SimpleNamespace(monotonic=self.passed))
        patch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=self.sdk_slept.append))
        defaults = HttpTokenEndpoint.__init__.__kwdefaults__ or {}
        patch.setitem(defaults, "sleep", self.endpoint_slept.append)
        patch.setitem(WriteRate.__init__.__kwdefaults__ or {}, "clock", self.passed)
        patch.setattr(InlineExecutor.__init__, "__defaults__", (self.write_rate_slept.append,))


def shorten_timeouts(patch: pytest.MonkeyPatch) -> None:
    """Give up on silence much sooner: only for tests of silence, because a busy machine is slow, too."""
    patch.setattr(aws_client.CONFIG, "read_timeout", SHORT_SDK_TIMEOUT)
    patch.setattr(http_transport, "READ_TIMEOUT_SECONDS", SHORT_TIMEOUT)
    patch.setattr(http_transport, "CONNECT_TIMEOUT_SECONDS", SHORT_TIMEOUT)


class Context:
    """Lambda's, of a run that begins now and has the default budget."""

    aws_request_id = "request-1"

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._end = timing.passed() + RUN_BUDGET_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self._end - self._timing.passed()))
