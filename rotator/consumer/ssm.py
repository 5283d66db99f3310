"""A token parameter and its status, read from SSM Parameter Store in one call."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from rotator.adapters.runtime import aws_client
from rotator.adapters.runtime.aws_client import AwsError
from rotator.consumer.parse import Found
from rotator.errors import TokenUnavailable
from rotator.oauth.http_date import http_date

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

CONFIG = Config(
    connect_timeout=2,
    read_timeout=4,
    retries={"mode": "standard", "total_max_attempts": 3},
    user_agent_extra="rotator-consumer",
)
"""Seconds. Somebody may wait for this, and where a good token is held it is tried again soon."""

TRY_ALL_AGAIN = 10
"""Reads after which what was denied is tried again."""

_HAS_STATUS = re.compile(r"(arn:[^/]+:parameter)?(/[A-Za-z0-9_.-]+){1,14}")
"""Names below which a status can stand: paths, without a version or label that picks an older token.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
"""

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
_ADVICE = {
    "InvalidKeyId": "the key it is encrypted with is gone or disabled: have it written anew with another",
    "ParameterVersionNotFound": "name a version or label that it has, or none",
    "ValidationException": "check its name",
    "ParamValidationError": "check its name",
}


class SsmReader:
    """The port ParameterReader on Amazon's. Without a ``client`` it makes one, when it first reads."""

    def __init__(self, parameter_name: str, client: SSMClient | None = None) -> None:
        self._name = parameter_name
        self._client = client
        self._made_by: int | None = None
        aws_client.keep_sdk_quiet()  # also where the client is given: at DEBUG it logs what it reads
        self._has_status = _HAS_STATUS.fullmatch(parameter_name) is not None
        self._ways = self._all_ways()
        self._reads = 0

    def __call__(self) -> Found:
        """Read both; where only the token may be read, that alone.

        Raises TokenUnavailable if it is missing, denied or out of reach, SettingsError if the SDK has no
        Region or profile to go by.
        """
        found = self._ask()
        if found is None:
            raise self._missing()
        return found

    @property
    def _ssm(self) -> SSMClient:
        """The client that was given, or one of this process's own: a child must not use its parent's."""
        if self._client is None or self._made_by not in (None, os.getpid()):
            self._client, self._made_by = aws_client.client("ssm", CONFIG), os.getpid()
        return self._client

    def _all_ways(self) -> list[Callable[[], Found | None]]:
        together = [self._read_both] if self._has_status else []
        return [*together, self._read_token, self._read_token_by_itself]

    def _ask(self) -> Found | None:
        """Read in the first way that is not denied, and begin with that one the next times.

        One denied name makes AWS refuse the whole call, and a policy for somebody else's parameter may allow
        one name and one action. Policies change, so now and then all ways are tried again.
        """
        self._reads += 1
        if self._reads % TRY_ALL_AGAIN == 0:
            self._ways = self._all_ways()
        failure = AwsError("")
        for number, way in enumerate(self._ways):
            try:
                found = way()
            except AwsError as error:
                failure = error
                if error.code not in aws_client.DENIED:
                    break
            else:
                self._ways = self._ways[number:]
                return found
        raise self._missing() if failure.code == "ParameterNotFound" else self._failed(failure)

    def _read_both(self) -> Found | None:
        names = [self._name, f"{self._name}/status"]
        return aws_client.call(self._ssm.get_parameters, read=self._found, WithDecryption=True, Names=names)

    def _read_token(self) -> Found | None:
        return aws_client.call(
            self._ssm.get_parameters, read=self._found, WithDecryption=True, Names=[self._name]
        )

    def _read_token_by_itself(self) -> Found | None:
        return aws_client.call(
            self._ssm.get_parameter,
            read=lambda answer: self._found({**answer, "Parameters": [answer["Parameter"]]}),
            WithDecryption=True,
            Name=self._name,
        )

    def _found(self, answer: Mapping[str, Any]) -> Found | None:
        """Take token and status from an answer; None if the token is not in it."""
        found = {name: each for each in answer["Parameters"] for name in _names(each)}
        token, status = found.get(self._name), found.get(f"{self._name}/status")
        if token is None:
            return None
        return Found(
            token=str(token["Value"]),
            version=int(token["Version"]),
            status=status["Value"] if status else None,
            read_at=_date(answer),
        )

    def _missing(self) -> TokenUnavailable:
        return TokenUnavailable(
            f"there is no parameter {self._name}",
            advice="check its name, the account and the Region; a new rotator needs its first run",
        )

    def _failed(self, error: AwsError) -> TokenUnavailable:
        advice = error.advice or _ADVICE.get(error.code, "see the code in AWS's documentation")
        if error.code in aws_client.DENIED:
            advice = (
                "allow this caller ssm:GetParameters on it and on its status, and kms:Decrypt with its key: "
                "the rotator's stack has a policy for that, ConsumerPolicyArn"
            )
        return TokenUnavailable(
            f"the parameter {self._name} could not be read: {error.code}",
            advice=advice.replace("the next run", "the next call"),
        )


def _names(found: Mapping[str, Any]) -> list[str]:
    """All that a parameter may have been asked for by: name or ARN, with a version or label or without."""
    selector = found.get("Selector", "")
    return [name + suffix for name in (found["Name"], found.get("ARN", "")) for suffix in ("", selector)]


def _date(answer: Mapping[str, Any]) -> datetime | None:
    """The time of an answer by AWS's clock (RFC 9110, 6.6.1); None where it does not tell."""
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    return http_date(text)
