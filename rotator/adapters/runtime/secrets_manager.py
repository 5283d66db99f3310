"""AWS Secrets Manager as the port SecretStore: GetSecretValue, and the checks of the JSON in a secret."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.errors import CredentialsError, Retry
from rotator.oauth.json_object import REPEATED, BlockedPath, find, read_object
from rotator.oauth.models import BasicEncoding, ClientAuthentication, ClientCredentials, Secret, Stage
from rotator.renewal.models import Rotation

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

FORM = 'store the secret as {"client_id": "...", "client_secret": "..."}'

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
_ADVICE = {
    **dict.fromkeys(
        aws_errors.DENIED,
        "allow this caller secretsmanager:GetSecretValue on the secret, and kms:Decrypt with its key",
    ),
    "ResourceNotFoundException": "create the secret in this account and Region, or correct secret_id",
    "DecryptionFailure": "allow this caller kms:Decrypt with the secret's key",
    "InvalidRequestException": "restore the secret if it is scheduled for deletion",
    "InvalidParameterException": "check secret_id",
    "ValidationException": "check secret_id",
}


class SecretsManager:
    """The port SecretStore on Secrets Manager."""

    def __init__(self, client: SecretsManagerClient) -> None:
        self._client = client

    def read(self, rotation: Rotation) -> ClientCredentials:
        """Read the version with the staging label AWSCURRENT."""
        try:
            return self._read(rotation)
        except AwsError as error:
            raise _unreadable(rotation, error) from error

    def read_stage(self, rotation: Rotation, stage: Stage) -> ClientCredentials | None:
        """Read the version with this staging label; None if there is none, or if it has no value.

        AWS answers ResourceNotFoundException in both cases. A version has no value yet, for example, when
        Secrets Manager's own rotation has just begun.
        """
        try:
            return replace(self._read(rotation, VersionStage=stage.value), stage=stage)
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise _unreadable(rotation, error) from error

    def _read(self, rotation: Rotation, **version: str) -> ClientCredentials:
        stored, version_id = aws_client.call(
            self._client.get_secret_value, read=_value, SecretId=rotation.secret_id, **version
        )
        return parse_credentials(rotation, stored, version_id)


def _value(answer: Mapping[str, Any]) -> tuple[str | bytes, str]:
    """Return the value of a secret, as text or binary, and the id of its version."""
    text: str | None = answer.get("SecretString")
    return bytes(answer.get("SecretBinary", b"")) if text is None else text, str(answer["VersionId"])


def _unreadable(rotation: Rotation, error: AwsError) -> CredentialsError:
    return CredentialsError(
        f"the secret {rotation.secret_id} could not be read: {error.code}",
        advice=error.advice_with(_ADVICE),
        retry=error.retry and Retry.NEXT_RUN,
    )


def parse_credentials(rotation: Rotation, stored: str | bytes, version_id: str) -> ClientCredentials:
    """Return the client credentials in a secret; members that no setting names are ignored.

    Raises CredentialsError, which names the problem and quotes no value.
    """
    fields = read_object(stored)
    if fields is None:
        raise _malformed(rotation, _not_an_object(stored), FORM)
    id_place, secret_place = (
        rotation.secret_members.get(name, name) for name in ("client_id", "client_secret")
    )
    needs_secret = rotation.client_authentication is not ClientAuthentication.PRIVATE_KEY_JWT
    others = (*rotation.secret_params.values(), *rotation.secret_headers.values())
    places = (id_place, *((secret_place,) if needs_secret else ()), *others)
    values = {place: _member(rotation, fields, place) for place in places}
    is_basic = rotation.client_authentication is ClientAuthentication.BASIC
    is_raw = rotation.basic_encoding is BasicEncoding.RAW
    if is_basic and is_raw and ":" in values[id_place]:  # RFC 7617, 2: the id would be cut off at the colon
        advice = "set basic_encoding to form, or correct client_id"
        raise _malformed(rotation, "has a client_id with a colon", advice)
    for header, place in rotation.secret_headers.items():
        if not (values[place].isascii() and values[place].isprintable()):  # RFC 9110, 5.5
            problem = f"has a {place} with characters that a header must not contain"
            advice = f"correct {place} in the secret, or the header {header} in secret_headers"
            raise _malformed(rotation, problem, advice)
    return ClientCredentials(
        client_id=values[id_place],
        client_secret=Secret(values[secret_place] if needs_secret else ""),
        version_id=version_id,
        members={place: Secret(values[place]) for place in others},
        spaced_members=tuple(place for place, value in values.items() if _is_spaced(value)),
    )


def _not_an_object(stored: str | bytes) -> str:
    """Return the problem of a secret that is not a JSON object."""
    form = "is binary, and" if isinstance(stored, bytes) else "is"
    try:
        json.loads(stored)
    except (ValueError, RecursionError):
        return f"{form} not JSON"
    return f"{form} not a JSON object"


def _member(rotation: Rotation, fields: dict[str, Any], place: str) -> str:
    advice = _advice(rotation, place)
    try:
        value = find(fields, place)
    except BlockedPath as blocked:
        raise _malformed(rotation, f"has {blocked}", advice) from None
    if value is None:
        problem = f"has no {place}"
    elif value is REPEATED:
        problem, advice = f"has {place} twice, with different values", f"store {place} once"
    elif not isinstance(value, str):
        problem = f"has a {place} that is not text"
    elif not value.strip():
        problem = f"has an empty {place}"
    elif any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        problem = f"has a {place} with a control character, such as a newline at its end"
        advice = f"store {place} again without this character"
    else:
        return value
    raise _malformed(rotation, problem, advice)


def _advice(rotation: Rotation, place: str) -> str:
    """Return the advice for a missing or invalid member, by the setting that names it."""
    for setting in ("secret_members", "secret_params", "secret_headers"):
        if place in getattr(rotation, setting).values():
            return f"store {place} as text in the secret, or correct {setting}"
    return f"{FORM}, or set secret_members if {place} has another name"


def _is_spaced(value: str) -> bool:
    """Whether a value begins or ends with a space or an invisible character."""
    ends = {unicodedata.category(value[0]), unicodedata.category(value[-1])}
    return bool(ends & {"Zs", "Zl", "Zp", "Cf"})


def _malformed(rotation: Rotation, problem: str, advice: str) -> CredentialsError:
    return CredentialsError(f"the secret {rotation.secret_id} {problem}", advice=advice)
