"""The calls of a run to its ports, the faults of these calls, and ports that inject faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from rotator.errors import CredentialsError, ParameterStoreError, RotatorError, TokenEndpointUnavailable


class Call(Enum):
    """A call: the port and its method."""

    READ = "parameters.read"
    READ_VERSIONS = "parameters.read_versions"
    CREATE_LEASE = "parameters.create_lease"
    WRITE_LEASE = "parameters.write_lease"
    WRITE_TOKEN = "parameters.write_token"  # noqa: S105 - a call
    WRITE_STATUS = "parameters.write_status"
    READ_SECRET = "secrets.read"  # noqa: S105 - a call
    READ_STAGE = "secrets.read_stage"
    REQUEST_TOKEN = "token_endpoint.request"  # noqa: S105 - a call


class Fault(Enum):
    """A fault of one call."""

    FAILED = "the call fails and has no effect"
    LOST = "the call fails, but has taken effect"
    KILLED_BEFORE = "the process is killed before the call"
    KILLED_AFTER = "the process is killed after the call"


class Killed(BaseException):
    """The process is killed at this point; its own code must not catch this."""


def failure(call: Call) -> RotatorError:
    """Return the error that the adapter raises when this call fails."""
    if call is Call.REQUEST_TOKEN:
        return TokenEndpointUnavailable(
            "the endpoint did not answer", advice="do nothing: it is simulated", may_have_issued=True
        )
    if call in (Call.READ_SECRET, Call.READ_STAGE):
        return CredentialsError("the secret could not be read: Unreachable", advice="wait")
    return ParameterStoreError("Parameter Store failed: ThrottlingException", advice="wait")


@dataclass
class Intercepted:
    """A port, by its name in the values of Call.

    ``carry_out`` receives each call with its effect; it returns the answer, or raises the error of a fault.
    """

    name: str
    port: object
    carry_out: Callable[[Call, Callable[[], Any]], Any]

    def __getattr__(self, method: str) -> Callable[..., Any]:
        """Return the port's method, carried out by ``carry_out``."""
        call, effect = Call(f"{self.name}.{method}"), getattr(self.port, method)
        return lambda *args: self.carry_out(call, partial(effect, *args))
