"""The text of the status parameter: JSON, schema 1, without a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rotator.errors import ParameterStoreError
from rotator.oauth.dates import read_time
from rotator.oauth.models import Stage
from rotator.renewal.durations import format_time
from rotator.renewal.models import Parameter, Rotation, Status, Stored

SCHEMA = 1


class StatusNotWritten(ParameterStoreError):
    """The new token was stored, but not its ``status``."""

    def __init__(self, status: Status, cause: ParameterStoreError) -> None:
        super().__init__(
            f"the new token is stored as version {status.parameter_version}, but its status could not be "
            f"written, so the next run renews the token again: {cause.problem}",
            advice=cause.advice,
            retry=cause.retry,
            unreachable=cause.unreachable,
        )
        self.status = status


def dump(status: Status) -> str:
    """Return the text of the status parameter."""
    fields = {"schema": SCHEMA, **vars(status)}
    if status.secret_stage is Stage.CURRENT:
        del fields["secret_stage"]
    return json.dumps(fields, default=format_time)


def read(rotation: Rotation, parameters: Mapping[str, Parameter]) -> Stored:
    """Return the state of a rotation's token and status parameters, without its lease.

    If the status is invalid, the rotation is due, and its renewal writes the status again.

    Raises ParameterStoreError for a parameter of the wrong type, which no write can change, and for a status
    of a newer rotator: two versions that cannot read each other's status would renew the token in every run.
    """
    token = parameters.get(rotation.parameter_name)
    found = parameters.get(rotation.status_name)
    _check_type(rotation.parameter_name, token, "SecureString", ", or set parameter_name to another name")
    _check_type(rotation.status_name, found, "String", ": the next run writes it again")
    status, problem = _parse(rotation, found.value) if found else (None, None)
    return Stored(
        token_version=token.version if token else 0,
        status_version=found.version if found else 0,
        status=status,
        status_problem=problem,
    )


def _check_type(name: str, found: Parameter | None, type_name: str, otherwise: str) -> None:
    """Raise ParameterStoreError before a token is requested: PutParameter cannot change a type."""
    if found and found.type != type_name:
        raise ParameterStoreError(
            f"the parameter {name} is a {found.type}, not a {type_name}",
            advice=f"delete this parameter{otherwise}",
        )


def _parse(rotation: Rotation, text: str) -> tuple[Status | None, str | None]:
    try:
        fields = json.loads(text)
        or_else = ", or delete this parameter: the next run writes it again"
        if not is_schema(rotation.status_name, fields["schema"], SCHEMA, or_else=or_else):
            return None, "its schema is unknown"
        return _status(fields) if "parameter_version" in fields else None, None
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None, "it is not JSON in the form that the rotator writes"


def is_schema(name: str, schema: object, known: int, *, or_else: str = "") -> bool:
    """Whether a parameter has the known schema; raises ParameterStoreError for a newer one.

    JSON's ``true`` equals 1 in Python, and is no schema.
    """
    if isinstance(schema, int) and schema > known:
        raise ParameterStoreError(
            f"the parameter {name} has schema {schema}, written by a newer rotator; "
            f"this version supports schema {known}",
            advice="deploy the newer version here, too" + or_else,
        )
    return type(schema) is int and schema == known


def _status(fields: Mapping[str, Any]) -> Status:
    renew_at = read_time(fields["renew_at"])
    if "claimed_until" in fields:  # version 0.1 kept its lease here; the renewal must be completed
        renew_at = min(renew_at, read_time(fields["claimed_until"]))
    return Status(
        parameter_version=int(fields["parameter_version"]),
        issued_at=read_time(fields["issued_at"]),
        expires_at=read_time(fields["expires_at"]),
        renew_at=renew_at,
        scope=str(fields["scope"]),
        token_type=str(fields["token_type"]),
        token_sha256=str(fields["token_sha256"]),
        secret_version_id=str(fields["secret_version_id"]),
        rotator_version=str(fields["rotator_version"]),
        secret_stage=Stage(fields.get("secret_stage", Stage.CURRENT)),
        lease_version=int(fields.get("lease_version", 0)),
    )
