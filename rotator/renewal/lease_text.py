"""The text of the lease parameter: JSON, schema 1, without a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rotator.oauth.dates import read_time
from rotator.renewal import status as status_text
from rotator.renewal.durations import format_time
from rotator.renewal.models import Attempt, Outcome

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class LeaseText:
    """The content of one version of the lease parameter.

    ``read_version`` is the version that the writer had read, 0 if the parameter did not exist. In a released
    text, ``read_version`` is the version under which the lease was held, and ``expires_at`` the time of the
    release.
    """

    run: str
    read_version: int
    expires_at: datetime
    released: bool = False
    outcome: Outcome | None = None
    error_kind: str | None = None
    may_have_issued: bool = False

    def dump(self) -> str:
        """Return the text of the lease parameter."""
        return json.dumps(
            {
                "schema": SCHEMA,
                "run": self.run,
                "read_version": self.read_version,
                "expires_at": format_time(self.expires_at),
                "state": "released" if self.released else "held",
                "outcome": self.outcome,
                "error_kind": self.error_kind,
                "issued": "unknown" if self.may_have_issued else "no",
            }
        )

    def attempt(self, now: datetime) -> Attempt:
        """Return the attempt of the text's run; the clock of that run may have been ahead."""
        return Attempt(at=min(self.expires_at, now), outcome=self.outcome, error_kind=self.error_kind)


def parse(name: str, text: str) -> LeaseText | None:
    """Return the content of one version of a lease parameter, None if no rotator wrote it.

    Raises ParameterStoreError for a version of a newer rotator: two rotators that cannot read each other's
    lease could hold it at once.
    """
    try:
        fields = json.loads(text)
        return _read_fields(fields) if status_text.is_schema(name, fields["schema"], SCHEMA) else None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def _read_fields(fields: Mapping[str, Any]) -> LeaseText:
    states, issued = {"held": False, "released": True}, {"no": False, "unknown": True}
    outcome, error_kind, read_version = fields["outcome"], fields["error_kind"], fields["read_version"]
    if type(read_version) is not int or read_version < 0:
        raise ValueError
    if error_kind is not None and not error_kind.isidentifier():  # it is printed on terminals
        raise ValueError
    return LeaseText(
        run=str(fields["run"]),
        read_version=read_version,
        expires_at=read_time(fields["expires_at"]),
        released=states[fields["state"]],
        outcome=None if outcome is None else Outcome(outcome),
        error_kind=error_kind,
        may_have_issued=issued[fields["issued"]],
    )
