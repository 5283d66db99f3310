"""SSM Parameter Store as the port ParameterStore: GetParameters, GetParametersByPath, PutParameter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.errors import ConcurrentUpdate, ParameterStoreError, Retry
from rotator.oauth.models import Secret
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Parameter, Rotation
from rotator.renewal.ports import NAMES_PER_CALL

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
WRITE_ADVICE = {
    "InvalidKeyId": "check that kms_key_id names an enabled key that this caller may use",
    "KMSInvalidStateException": "enable the key that kms_key_id names",
    "DisabledException": "enable the key that kms_key_id names",
    "ParameterLimitExceeded": "delete parameters that are no longer used, or raise the quota",
    "ParameterMaxVersionLimitExceeded": "remove the label from the oldest of the parameter's 100 versions",
    "ParameterPatternMismatchException": "remove the AllowedPattern of the parameter",
    "HierarchyTypeMismatchException": "delete the parameter, which has another type",
    "HierarchyLevelLimitExceededException": "use a name of at most 15 levels",
    "UnsupportedParameterType": "delete the parameter, which has another type",
    "PoliciesLimitExceededException": "remove policies from the parameter",
    "ValidationException": "check parameter_name, tier and the parameter's type",
}

_KEY_PERMISSIONS = {
    "writing": ", and kms:Encrypt and kms:GenerateDataKey with the key if kms_key_id names one",
    "decrypting": ", and kms:Decrypt with the token's key if kms_key_id names one",
}

TEXT: dict[str, Any] = {"Type": "String", "Tier": "Intelligent-Tiering"}
"""A String in the tier that is free of charge for its size, at any default tier of the account.

AWS would refuse the tier Standard for a parameter in the Advanced tier: a tier cannot be lowered.
"""

PAGE_DELAY_SECONDS = 2.0
"""The wait before a page is read again after AWS throttled every attempt of the SDK."""


class SsmParameterStore:
    """The port ParameterStore on SSM.

    ``on_throttled`` is called for every write that AWS throttles. ``advice`` has the next steps after error
    codes that have another meaning in the client's Region.
    """

    def __init__(
        self,
        client: SSMClient,
        *,
        on_throttled: Callable[[], None] = lambda: None,
        advice: Mapping[str, str] = MappingProxyType({}),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sleep = sleep
        self._client = client
        self._on_throttled = on_throttled
        self._advice = advice
        # The SDK reports each answer, including those after which its own retry succeeds.
        client.meta.events.register("response-received.ssm.PutParameter", self._watch)

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Read up to ten parameters in one call, without decrypting values."""
        return dict(self._get(names))

    def read_decrypted(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Read up to ten parameters in one call, encrypted values in the clear."""
        return dict(self._get(names, decrypted=True))

    def read_versions(self, name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        """Read versions of a parameter; AWS lists versions that no longer exist as InvalidParameters."""
        found: dict[int, Parameter] = {}
        for start in range(0, len(versions), NAMES_PER_CALL):
            names = [f"{name}:{version}" for version in versions[start : start + NAMES_PER_CALL]]
            found |= {parameter.version: parameter for _, parameter in self._get(names)}
        return found

    def _get(self, names: Sequence[str], *, decrypted: bool = False) -> list[tuple[str, Parameter]]:
        try:
            return aws_client.call(
                self._client.get_parameters, read=_parameters, Names=list(names), WithDecryption=decrypted
            )
        except AwsError as error:
            doing = "decrypting" if decrypted else "reading"
            raise self._failed(error, doing, _shown(names), "ssm:GetParameters") from error

    def read_path(
        self, path: str, *, retry_until: Deadline | None = None
    ) -> Iterator[Mapping[str, Parameter]]:
        """Yield the parameters below a path, ten in a page."""
        page: dict[str, Any] = {}
        while True:
            try:
                found, token = aws_client.call(
                    self._client.get_parameters_by_path,
                    read=lambda answer: (dict(_parameters(answer)), answer.get("NextToken")),
                    Path=path,
                    Recursive=True,
                    MaxResults=10,  # the most that AWS returns
                    WithDecryption=False,
                    **page,
                )
            except AwsError as error:
                failed = self._failed(error, "reading", f"path {path}", "ssm:GetParametersByPath")
                if failed.transient and retry_until and retry_until.remaining() > PAGE_DELAY_SECONDS:
                    self._sleep(PAGE_DELAY_SECONDS)
                    continue
                raise failed from error
            yield found
            if not token:
                return
            page = {"NextToken": token}

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        """Write the token as the newest version."""
        key = {"KeyId": rotation.kms_key_id} if rotation.kms_key_id else {}
        return self._put(
            rotation.parameter_name,
            Value=token.value,
            Type="SecureString",
            Tier=rotation.tier,
            Overwrite=True,
            **key,
        )

    def write_status(self, rotation: Rotation, text: str) -> int:
        """Write the status as the newest version."""
        return self._put(rotation.status_name, Value=text, Overwrite=True, **TEXT)

    def create_lease(self, rotation: Rotation, text: str) -> int:
        """Write the first version of the lease, and never overwrite one."""
        return self._put(rotation.lease_name, Value=text, Overwrite=False, **TEXT)

    def write_lease(self, rotation: Rotation, text: str) -> int:
        """Write the lease as the newest version."""
        return self._put(rotation.lease_name, Value=text, Overwrite=True, **TEXT)

    def _put(self, name: str, **parameters: Any) -> int:
        try:
            return put(self._client, Name=name, **parameters)
        except AwsError as error:
            raise self._failed(error, "writing", f"parameter {name}", "ssm:PutParameter") from error

    def _failed(self, error: AwsError, doing: str, what: str, action: str) -> ParameterStoreError:
        problem = f"{doing} the {what} failed: {error.code}"
        if error.code in aws_errors.CONCURRENT:
            return ConcurrentUpdate(
                problem,
                advice="find out which other program writes the parameter: a run writes only under its lease",
            )
        kind = what.partition(" ")[0]
        permission = f"allow this caller {action} on the {kind}{_KEY_PERMISSIONS.get(doing, '')}"
        own = {**WRITE_ADVICE, **dict.fromkeys(aws_errors.DENIED, permission), **self._advice}
        return ParameterStoreError(
            problem,
            advice=error.advice_with(own),
            retry=error.retry and Retry.NEXT_RUN,
            transient=error.code in aws_errors.TRANSIENT,
            unreachable=error.code == aws_errors.UNREACHABLE,
            foreign=error.code == aws_errors.NOT_AN_ANSWER,
        )

    def _watch(self, parsed_response: Mapping[str, Any] | None, **_: object) -> None:
        """Report a throttled answer; the SDK passes None if there was no answer."""
        if parsed_response and parsed_response.get("Error", {}).get("Code") in aws_errors.THROTTLED:
            self._on_throttled()


def put(client: SSMClient, **parameters: Any) -> int:
    """Write a parameter and return its version; raises AwsError."""
    return aws_client.call(client.put_parameter, read=lambda answer: int(answer["Version"]), **parameters)


def _parameters(answer: Mapping[str, Any]) -> list[tuple[str, Parameter]]:
    """Return the name and the content of each parameter in an answer."""
    return [
        (
            str(each["Name"]),
            Parameter(value=str(each["Value"]), version=int(each["Version"]), type=str(each["Type"])),
        )
        for each in answer["Parameters"]
    ]


def _shown(names: Sequence[str]) -> str:
    """Return names for a message: up to three (token, status and lease), or the first and a number."""
    if len(names) > 3:
        return f"parameters {names[0]} and {len(names) - 1} others"
    *before, last = names
    return f"parameters {', '.join(before)} and {last}" if before else f"parameter {last}"
