"""AWS Secrets Manager behind the port: GetSecretValue, and what its JSON must hold."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.errors import CredentialsError, Retry
from rotator.oauth.models import BasicEncoding, ClientAuthentication, ClientCredentials, Secret, Stage
from rotator.renewal.models import Rotation

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

FORM = 'store it as {"client_id": "...", "client_secret": "..."}'

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
_ADVICE = {
    **dict.fromkeys(
        aws_errors.DENIED,
        "allow this caller secretsmanager:GetSecretValue on it, and kms:Decrypt with its key",
    ),
    "ResourceNotFoundException": "create it in this account and Region, or set secret_id to one",
    "DecryptionFailure": "allow this caller kms:Decrypt with the secret's key",
    "InvalidRequestException": "restore the secret if it is marked for deletion",
    "InvalidParameterException": "check secret_id",
    "ValidationException": "check secret_id",
}


class SecretsManager:
    """The port SecretStore on Amazon's."""

    def __init__(self, client: SecretsManagerClient) -> None:
        self._client = client

    def read(self, rotation: Rotation) -> ClientCredentials:
        """Read the version that is labelled AWSCURRENT."""
        try:
            text, version_id = self._get(SecretId=rotation.secret_id)
        except AwsError as error:
            raise _unreadable(rotation, error) from error
        return parse_credentials(rotation, text, version_id)

    def read_stage(self, rotation: Rotation, stage: Stage) -> ClientCredentials | None:
        """Read the version that is labelled so.

        A label that no version carries is a ResourceNotFoundException, and so is one whose version has no
        value yet, as in a rotation of Secrets Manager's own that has just begun.
        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
        """
        try:
            text, version_id = self._get(SecretId=rotation.secret_id, VersionStage=stage.value)
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise _unreadable(rotation, error) from error
        return replace(parse_credentials(rotation, text, version_id), stage=stage)

    def _get(self, **secret: str) -> tuple[str | None, str]:
        """Return the text of a secret, None if it is binary, and the id of its version."""
        return aws_client.call(
            self._client.get_secret_value,
            read=lambda answer: (answer.get("SecretString"), str(answer["VersionId"])),
            **secret,
        )


def _unreadable(rotation: Rotation, error: AwsError) -> CredentialsError:
    return CredentialsError(
        f"the secret {rotation.secret_id} could not be read: {error.code}",
        advice=aws_errors.advice(error.code, _ADVICE),
        retry=Retry.NEXT_RUN if aws_errors.may_pass(error.code) else None,
    )


def parse_credentials(rotation: Rotation, text: str | None, version_id: str) -> ClientCredentials:
    """Read client credentials from a secret's text; other members are ignored.

    Raises CredentialsError, which says what is wrong with it without quoting any of it.
    """
    if text is None:
        raise _malformed(rotation, "is binary", FORM)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
        is_json = False
    else:
        is_json = True
    if not is_json:
        raise _malformed(rotation, "is not JSON", FORM)
    if not isinstance(fields, dict):
        raise _malformed(rotation, "is not a JSON object", FORM)
    client_id = _member(rotation, fields, "client_id")
    client_secret = _member(rotation, fields, "client_secret")
    raw_basic = (
        rotation.client_authentication is ClientAuthentication.BASIC
        and rotation.basic_encoding is BasicEncoding.RAW
    )
    if raw_basic and ":" in client_id:  # RFC 7617, 2: it would be cut off there
        raise _malformed(
            rotation, "has a client_id with a colon", "set basic_encoding to form or mend the id"
        )
    return ClientCredentials(client_id=client_id, client_secret=Secret(client_secret), version_id=version_id)


def _member(rotation: Rotation, fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    if value is None:
        raise _malformed(rotation, f"has no {key}", FORM)
    if not isinstance(value, str):
        raise _malformed(rotation, f"has a {key} that is not text", FORM)
    if not value.strip():
        raise _malformed(rotation, f"has an empty {key}", FORM)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise _malformed(
            rotation,
            f"has a {key} with a control character, such as a newline at its end",
            "store it again without",
        )
    return value


def _malformed(rotation: Rotation, what: str, advice: str) -> CredentialsError:
    return CredentialsError(f"the secret {rotation.secret_id} {what}", advice=advice)
