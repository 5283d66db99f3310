"""SSM Parameter Store behind the port: GetParameters, GetParametersByPath, PutParameter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rotator.adapters import aws
from rotator.adapters.aws import AwsError
from rotator.errors import ConcurrentUpdate, ParameterStoreError
from rotator.model import Parameter, Rotation, Secret
from rotator.pace import UNPACED, Pace
from rotator.ports import no_patience
from rotator.usage import Usage

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

READ_PATH = "ssm:GetParametersByPath"

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
_WRITE_ADVICE = {
    "InvalidKeyId": "check that kms_key_id names an enabled key that this caller may use",
    "KMSInvalidStateException": "enable the key that kms_key_id names",
    "DisabledException": "enable the key that kms_key_id names",
    "ParameterLimitExceeded": "delete parameters that are not used any more, or raise the quota",
    "ParameterMaxVersionLimitExceeded": "remove the label from the oldest of its 100 versions",
    "ParameterPatternMismatchException": "remove the parameter's AllowedPattern",
    "HierarchyTypeMismatchException": "delete the parameter, it has another type",
    "HierarchyLevelLimitExceededException": "use a name of at most 15 levels",
    "UnsupportedParameterType": "delete the parameter, it has another type",
    "PoliciesLimitExceededException": "remove policies from the parameter",
    "ValidationException": "check parameter_name, tier and the parameter's type",
}


PAGE_REST = 2.0
"""Seconds before a throttled page of a path is asked for again: the SDK's own tries were too many."""


class SsmParameterStore:
    """The port ParameterStore on Amazon's. Throttled writes slow the ``pace`` down; ``usage`` counts them."""

    def __init__(
        self,
        client: SSMClient,
        *,
        usage: Usage | None = None,
        pace: Pace = UNPACED,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sleep = sleep
        self._client = client
        self._usage = usage or Usage()
        self._pace = pace
        # The SDK tells of each answer, also of those that it then mends by trying again.
        client.meta.events.register("response-received.ssm.PutParameter", self._count_throttled)

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Read up to ten parameters in one call, encrypted values as they are stored."""
        try:
            answer = aws.call(self._client.get_parameters, Names=list(names), WithDecryption=False)
        except AwsError as error:
            raise _failed(error, "reading", names[0], "ssm:GetParameters") from error
        return {found["Name"]: _parameter(found) for found in answer["Parameters"]}

    def read_path(
        self, path: str, *, patience: Callable[[], float] = no_patience
    ) -> Iterator[Mapping[str, Parameter]]:
        """Read everything below a path, ten parameters a page."""
        page: dict[str, Any] = {}
        while True:
            try:
                answer = aws.call(
                    self._client.get_parameters_by_path,
                    Path=path,
                    Recursive=True,
                    MaxResults=10,  # as many as it gives
                    WithDecryption=False,
                    **page,
                )
            except AwsError as error:
                failed = _failed(error, "reading", path, READ_PATH)
                if failed.passing and patience() > PAGE_REST:
                    self._sleep(PAGE_REST)  # the SDK tries less and less often, and then not at all
                    continue
                raise failed from error
            yield {each["Name"]: _parameter(each) for each in answer["Parameters"]}
            if not answer.get("NextToken"):
                return
            page = {"NextToken": answer["NextToken"]}

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

    def create_status(self, rotation: Rotation, text: str) -> int:
        """Write the first status; never over another."""
        return self._put(rotation.status_name, Value=text, Type="String", Overwrite=False)

    def write_status(self, rotation: Rotation, text: str) -> int:
        """Write the status as the newest version."""
        return self._put(rotation.status_name, Value=text, Type="String", Overwrite=True)

    def _put(self, name: str, **parameters: Any) -> int:
        try:
            return int(aws.call(self._client.put_parameter, Name=name, **parameters)["Version"])
        except AwsError as error:
            raise _failed(error, "writing", name, "ssm:PutParameter") from error

    def _count_throttled(self, parsed_response: Mapping[str, Any] | None, **_: object) -> None:
        """Take note of an answer; it is None where none came."""
        if parsed_response and parsed_response.get("Error", {}).get("Code") in aws.THROTTLED:
            self._usage.add(throttled_writes=1)
            self._pace.slow_down()


def _parameter(found: Mapping[str, Any]) -> Parameter:
    return Parameter(value=found.get("Value", ""), version=int(found["Version"]), type=found["Type"])


def _failed(error: AwsError, doing: str, name: str, action: str) -> ParameterStoreError:
    problem = f"{doing} the {'path' if action == READ_PATH else 'parameter'} {name} failed: {error.code}"
    if error.code in aws.CONCURRENT:
        return ConcurrentUpdate(problem, advice="another run is writing it; the next run goes on")
    if error.code in aws.DENIED:
        advice = f"allow this caller {action} on it"
        if doing == "writing":
            advice += ", and kms:Encrypt and kms:GenerateDataKey with its key if kms_key_id names one"
    else:
        advice = error.advice or _WRITE_ADVICE.get(error.code, "see the code in AWS's documentation")
    failed = ParameterStoreError(problem, advice=advice)
    failed.passing = error.code in aws.THROTTLED | aws.AWS_FAILED
    failed.unreachable = error.code == "Unreachable"
    return failed
