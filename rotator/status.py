"""The status parameter as text: JSON, schema 1, no secret in it.

While a run renews, the text also carries its claim; the other fields stay true meanwhile.
Before the first token there is nothing to tell, so the text holds the schema and the claim only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rotator.errors import ParameterStoreError
from rotator.model import Claim, Parameter, Rotation, Stage, Status, Stored, format_time

SCHEMA = 1


def dump(status: Status | None, claim: Claim | None = None) -> str:
    """Write status and claim as the status parameter's text."""
    fields: dict[str, Any] = {"schema": SCHEMA}
    if status:
        fields |= {
            "parameter_version": status.parameter_version,
            "issued_at": format_time(status.issued_at),
            "expires_at": format_time(status.expires_at),
            "renew_at": format_time(status.renew_at),
            "scope": status.scope,
            "token_type": status.token_type,
            "token_sha256": status.token_sha256,
            "secret_version_id": status.secret_version_id,
            "rotator_version": status.rotator_version,
        }
        if status.secret_stage is not Stage.CURRENT:
            fields["secret_stage"] = status.secret_stage.value
    if claim:
        fields |= {"claimed_by": claim.by, "claimed_until": format_time(claim.until)}
    return json.dumps(fields)


def read(rotation: Rotation, parameters: Mapping[str, Parameter]) -> Stored:
    """Put together what is stored for a rotation from the parameters that were found.

    A status that cannot be read is no status: the rotation is due, and heals.
    Raises ParameterStoreError when a newer rotator wrote it, because two versions that
    do not understand each other would renew in turns for ever.
    """
    token = parameters.get(rotation.parameter_name)
    found = parameters.get(rotation.status_name)
    status, claim, problem = _parse(rotation, found.value) if found else (None, None, None)
    return Stored(
        token_version=token.version if token else 0,
        token_type=token.type if token else "SecureString",
        status_version=found.version if found else 0,
        status=status,
        claim=claim,
        status_problem=problem,
    )


def _parse(rotation: Rotation, text: str) -> tuple[Status | None, Claim | None, str | None]:
    try:
        fields = json.loads(text)
        schema = fields["schema"]
        if isinstance(schema, int) and schema > SCHEMA:
            raise ParameterStoreError(
                f"the status parameter {rotation.status_name} has schema {schema}, "
                f"written by a newer rotator; this one knows schema {SCHEMA}",
                advice="deploy the newer version here too, or delete that parameter to start over",
            )
        if type(schema) is not int or schema != SCHEMA:
            return None, None, "its schema is not a known number"
        return _status(fields), _claim(fields), None
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None, None, "it is not the JSON that the rotator writes"


def _status(fields: Mapping[str, Any]) -> Status | None:
    if "parameter_version" not in fields:
        return None
    return Status(
        parameter_version=int(fields["parameter_version"]),
        issued_at=_time(fields["issued_at"]),
        expires_at=_time(fields["expires_at"]),
        renew_at=_time(fields["renew_at"]),
        scope=str(fields["scope"]),
        token_type=str(fields["token_type"]),
        token_sha256=str(fields["token_sha256"]),
        secret_version_id=str(fields["secret_version_id"]),
        rotator_version=str(fields["rotator_version"]),
        secret_stage=Stage(fields.get("secret_stage", Stage.CURRENT)),
    )


def _claim(fields: Mapping[str, Any]) -> Claim | None:
    if "claimed_by" not in fields:
        return None
    return Claim(by=str(fields["claimed_by"]), until=_time(fields["claimed_until"]))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError
    return time.astimezone(UTC)
