"""The values of a renewal: frozen, typed, without I/O.

Times are aware datetimes in UTC; durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from rotator.errors import RotatorError
from rotator.oauth.models import Client, Stage
from rotator.renewal.durations import format_time

HEALTHWISE_TOKEN_ENDPOINT = "https://auth.healthwise.net/oauth2/token"  # noqa: S105 - an address

TIER_LIMITS: Mapping[str, int] = {"Standard": 4096, "Advanced": 8192, "Intelligent-Tiering": 8192}
"""The largest value of each parameter tier, in bytes.

https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
"""


@dataclass(frozen=True, kw_only=True)
class Rotation(Client):
    """The configuration of one rotation: from a secret and a token endpoint to a token parameter."""

    name: str
    secret_id: str
    parameter_name: str
    token_endpoint: str = HEALTHWISE_TOKEN_ENDPOINT
    scope: str = "*"
    secret_members: Mapping[str, str] = field(default_factory=dict)
    renew_at: float = 0.667
    kms_key_id: str | None = None
    tier: str = "Intelligent-Tiering"
    verify_url: str | None = None
    secret_rollover: bool = True

    @property
    def status_name(self) -> str:
        """The name of the status parameter."""
        return f"{self.parameter_name}/status"

    @property
    def lease_name(self) -> str:
        """The name of the lease parameter."""
        return f"{self.parameter_name}/lease"

    @property
    def parameter_names(self) -> tuple[str, str, str]:
        """The names of the three parameters that the rotator writes: token, status and lease."""
        return self.parameter_name, self.status_name, self.lease_name


@dataclass(frozen=True, kw_only=True)
class Status:
    """The content of the status parameter, in its order: it describes one version of the token parameter."""

    parameter_version: int
    issued_at: datetime
    expires_at: datetime
    renew_at: datetime
    scope: str
    token_type: str = "Bearer"  # noqa: S105 - a name of RFC 6750, not a secret
    token_sha256: str
    secret_version_id: str
    rotator_version: str
    lease_version: int = 0  # of the lease under which the token was published, 0 if it is unknown
    secret_stage: Stage = Stage.CURRENT

    @property
    def lifetime(self) -> float:
        """The token's whole lifetime in seconds."""
        return (self.expires_at - self.issued_at).total_seconds()


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter as Parameter Store returns it; a SecureString's value stays encrypted."""

    value: str = field(repr=False)
    version: int
    type: str


class Outcome(StrEnum):
    """The outcome of one rotation of a run."""

    ROTATED = "rotated"
    FRESH = "fresh"
    KEPT = "kept"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A renewal attempt that published no token: its time (UTC) and its outcome."""

    at: datetime
    outcome: Outcome | None  # FAILED or KEPT, None if the run was stopped before it released the lease
    error_kind: str | None = None


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The lease of one rotation, read from the versions of its parameter.

    The stored token ``may_be_revoked`` if the token endpoint may have issued a token that was not published:
    some providers then revoke the stored one.
    """

    version: int = 0  # of the lease parameter, 0 if the parameter does not exist
    held_until: datetime | None = None  # the time (UTC) when the lease expires, if a run holds it
    last_attempt: Attempt | None = None  # unless a token was published since
    may_be_revoked: bool = False


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The parameters of one rotation. Version 0 means that a parameter does not exist."""

    token_version: int = 0
    status_version: int = 0
    status: Status | None = None
    status_problem: str | None = None
    lease: Lease = Lease()
    lease_error: RotatorError | None = None

    @property
    def token_status(self) -> Status | None:
        """The status, if it describes the stored token."""
        if self.status and self.token_version == self.status.parameter_version:
            return self.status
        return None


@dataclass(frozen=True, kw_only=True)
class Result:
    """One rotation's outcome, and the token that its consumers now read."""

    name: str
    outcome: Outcome
    expires_at: datetime | None = None
    parameter_version: int | None = None
    error: str | None = None  # the message of a failure
    error_kind: str | None = None  # its class in errors.py
    advice: str | None = None  # its next step
    lifetime: float | None = None  # of the stored token, in seconds, if it is known
    reason: str | None = None
    late: bool = False  # a failure is an error, not a warning (policy.fails_late); also of a kept token
    seconds_remaining: int | None = None  # after a failure; 0 if no token is stored, None if it is unknown
    next_try: datetime | None = None  # the time of the next run (UTC), after a failure
    secret_stage: Stage = Stage.CURRENT  # for which the endpoint issued a token in this run
    warnings: tuple[str, ...] = ()  # about a renewal that succeeded; the summary contains them
    replicas_behind: tuple[str, ...] = ()  # Regions that could not be brought up to date; a warning says why

    def to_dict(self) -> dict[str, Any]:
        """Return the result in the form of the summary."""
        result: dict[str, Any] = {
            "name": self.name,
            "outcome": self.outcome.value,
            "expires_at": format_time(self.expires_at) if self.expires_at else None,
            "parameter_version": self.parameter_version,
            "error": self.error,
        }
        if self.outcome is Outcome.FAILED:
            result["late"] = self.late
            result["seconds_remaining"] = self.seconds_remaining
            result["next_try"] = format_time(self.next_try) if self.next_try else None
        extra = {
            "secret_stage": self.secret_stage.value if self.secret_stage is not Stage.CURRENT else None,
            "note": self.reason,
            "replicas_behind": list(self.replicas_behind),
        }
        return result | {name: value for name, value in extra.items() if value}

    @classmethod
    def from_dict(cls, result: Mapping[str, Any]) -> Result:
        """Read a result from a summary."""
        expires_at, next_try = result["expires_at"], result.get("next_try")
        return cls(
            name=result["name"],
            outcome=Outcome(result["outcome"]),
            expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
            parameter_version=result["parameter_version"],
            error=result["error"],
            reason=result.get("note"),
            late=result.get("late", True) if result["error"] else False,
            seconds_remaining=result.get("seconds_remaining"),
            next_try=datetime.fromisoformat(next_try) if next_try else None,
            secret_stage=Stage(result.get("secret_stage", Stage.CURRENT)),
            replicas_behind=tuple(result.get("replicas_behind", ())),
        )


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Every result of one run, and warnings for the operator."""

    results: tuple[Result, ...]
    warnings: tuple[str, ...] = ()
    dry_run: bool = False
    other_rotations: int | None = 0  # that the run did not serve, None if their number is unknown

    @classmethod
    def from_dict(cls, summary: Mapping[str, Any]) -> Summary:
        """Read a summary that another run, such as one of the deployed function, returned."""
        return cls(
            results=tuple(map(Result.from_dict, summary["rotations"])),
            warnings=tuple(summary.get("warnings", ())),
            dry_run=summary.get("dry_run", False),
        )

    @property
    def failed(self) -> bool:
        """Whether any rotation failed."""
        return any(result.outcome is Outcome.FAILED for result in self.results)

    @property
    def failed_late(self) -> int:
        """The number of rotations that failed late, which is an error (policy.fails_late)."""
        return sum(r.late for r in self.results if r.outcome is Outcome.FAILED)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary that the handler returns: the count of each outcome, then each result."""
        outcomes = [result.outcome for result in self.results]
        summary: dict[str, Any] = {o.value: outcomes.count(o) for o in Outcome}
        if self.failed:
            summary["failed_late"] = self.failed_late
        summary["rotations"] = [result.to_dict() for result in self.results]
        if self.warnings:
            summary["warnings"] = list(self.warnings)
        if self.dry_run:
            summary["dry_run"] = True
        return summary
