"""Reads a token parameter and its status from SSM Parameter Store, in one call if that is allowed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from botocore.config import Config

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.consumer import parameter_arn
from rotator.consumer.parse import Found
from rotator.errors import Retry, TokenUnavailable
from rotator.oauth.dates import http_date

CONFIG = Config(
    connect_timeout=2,
    read_timeout=4,
    retries={"mode": "standard", "total_max_attempts": 3},
    user_agent_extra="rotator-consumer",
)
"""Timeouts in seconds. Short, as a request may wait for the read, and a failed read is soon repeated."""

READS_UNTIL_DENIED_IS_RETRIED = 10

_HAS_STATUS = re.compile(r"(arn:[^/]+:parameter)?(/[A-Za-z0-9_.-]+){1,14}")
"""Names whose status can exist: paths, without a version or label that selects an older token.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
"""

_NOT_FOUND = "ParameterNotFound"

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
_ADVICE = {
    **dict.fromkeys(
        aws_errors.DENIED,
        "allow this caller ssm:GetParameters on it and on its status, and kms:Decrypt with its key, "
        "for example by the policy in the output ConsumerPolicyArn of the rotator's stack",
    ),
    _NOT_FOUND: "check its name, the account and the Region; a new rotation has a token after its first run",
    "InvalidKeyId": "its KMS key is deleted or disabled: enable the key, or ask the operator for another key",
    "ParameterVersionNotFound": "use a version or label that exists, or none",
    "ValidationException": "check its name",
    "ParamValidationError": "check its name",
}


class SsmClient(Protocol):
    """The methods that are called on boto3's or botocore's client for SSM.

    A consumer may not have the type stubs for boto3.
    """

    def get_parameters(self, *args: Any, **kwargs: Any) -> Any:
        """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html."""

    def get_parameter(self, *args: Any, **kwargs: Any) -> Any:
        """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html."""


class SsmReader:
    """The port ParameterReader on SSM. If ``client`` is omitted, the first read makes one.

    A parameter given by its ARN is read in the Region of the ARN.
    """

    def __init__(self, parameter_name: str, client: SsmClient | None = None) -> None:
        self._name = parameter_name
        self._client = client
        self._client_pid: int | None = None
        self._region: str | None = None
        aws_client.keep_sdk_quiet()  # also for a given client, which would log the values at DEBUG
        self._calls = self._all_calls()
        self._reads = 0

    def __call__(self) -> Found:
        """Read the token and its status, or only the token if the status is denied.

        AWS refuses the whole call if one of its names is denied, and a policy may allow only one name or one
        action. So the next reads begin with the first call that was not denied. Every tenth read tries all
        calls again, because policies change.

        Raises:
            TokenUnavailable: The parameter is missing or denied, or AWS is unavailable.
            SettingsError: The SDK finds no Region or profile, or the ARN cannot be used.
        """
        self._reads += 1
        if self._reads % READS_UNTIL_DENIED_IS_RETRIED == 0:
            self._calls = self._all_calls()
        for number, call in enumerate(self._calls):
            try:
                found = call()
            except AwsError as error:
                failure = error.again()
                if failure.code in aws_errors.DENIED:
                    continue
            else:
                self._calls = self._calls[number:]
                if found:
                    return found
                failure = AwsError(_NOT_FOUND)
            break
        # Outside of the handler, so that the SDK's error is not the context of this one.
        raise self._failed(failure)

    @property
    def _ssm(self) -> SsmClient:
        """Return the given client, or one made in this process: a forked child must not use its parent's."""
        if self._client_pid != os.getpid():
            meta = getattr(self._client, "meta", None)  # clients of the SDK have it, those of tests may not
            self._region = parameter_arn.region_of(self._name, meta.region_name if meta else None)
        if self._client is None or self._client_pid not in (None, os.getpid()):
            self._client = aws_client.client("ssm", CONFIG, region=self._region)
            self._client_pid = os.getpid()
        return self._client

    def _all_calls(self) -> list[Callable[[], Found | None]]:
        """Return the calls that may read the token; the first needs the most permissions."""
        both = [self._name, f"{self._name}/status"]
        names = [both, [self._name]] if _HAS_STATUS.fullmatch(self._name) else [[self._name]]
        return [*(partial(self._get_parameters, each) for each in names), self._get_parameter]

    def _get_parameters(self, names: list[str]) -> Found | None:
        return aws_client.call(self._ssm.get_parameters, read=self._found, WithDecryption=True, Names=names)

    def _get_parameter(self) -> Found | None:
        return aws_client.call(
            self._ssm.get_parameter, read=self._found, WithDecryption=True, Name=self._name
        )

    def _found(self, answer: Mapping[str, Any]) -> Found | None:
        """Return token and status of an answer, None if the token is not in it."""
        parameters = answer["Parameters"] if "Parameters" in answer else [answer["Parameter"]]
        found = {name: each for each in parameters for name in _names(each)}
        token, status = found.get(self._name), found.get(f"{self._name}/status")
        if token is None:
            return None
        return Found(
            token=str(token["Value"]),
            version=int(token["Version"]),
            status=status["Value"] if status else None,
            # AWS's own clock (RFC 9110, 6.6.1)
            read_at=http_date(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")),
        )

    def _failed(self, failure: AwsError) -> TokenUnavailable:
        advice, problem = _ADVICE, f"the parameter {self._name} could not be read: {failure.code}"
        if failure.code == _NOT_FOUND:
            problem = f"there is no parameter {self._name}"
        if self._region and failure.code in aws_errors.UNKNOWN_CALLER:
            enable = f"check that the Region {self._region} is enabled in this account"
            advice = {failure.code: f"{enable}, or renew the credentials"}
        retry = Retry.NEXT_CALL if failure.retry else None
        return TokenUnavailable(problem, advice=failure.advice_with(advice), retry=retry)


def _names(found: Mapping[str, Any]) -> list[str]:
    """Return the names by which a parameter may be requested: name or ARN, with and without selector."""
    selector = found.get("Selector", "")
    return [name + suffix for name in (found["Name"], found.get("ARN", "")) for suffix in ("", selector)]
