"""SSM Parameter Store as the port ParameterStore: GetParameters, GetParametersByPath, PutParameter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.errors import ConcurrentUpdate, ParameterStoreError, Retry
from rotator.oauth.models import Secret
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Parameter, Rotation
from rotator.renewal.ports import NAMES_PER_CALL

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

K = TypeVar("K")

READ_PATH = "ssm:GetParametersByPath"

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
_WRITE_ADVICE = {
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


PAGE_DELAY_SECONDS = 2.0
"""The wait before a page is read again after AWS throttled every attempt of the SDK."""

NAMES_SHOWN = 3
"""The names that a message shows: token, status and lease."""


class SsmParameterStore:
    """The port ParameterStore on SSM.

    Args:
        client: The SDK's client.
        on_throttled: A function that is called for every write that AWS throttles.
        advice: The next steps after error codes that have another meaning in the client's Region.
        sleep: Waits for n seconds before a throttled page is read again.
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
        return self._get(names, lambda found: str(found["Name"]))

    def read_decrypted(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Read up to ten parameters in one call, encrypted values in the clear."""
        return self._get(names, lambda found: str(found["Name"]), decrypted=True)

    def read_versions(self, name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        """Read versions of a parameter; AWS lists versions that no longer exist as InvalidParameters."""
        found: dict[int, Parameter] = {}
        for start in range(0, len(versions), NAMES_PER_CALL):
            names = [f"{name}:{version}" for version in versions[start : start + NAMES_PER_CALL]]
            found |= self._get(names, lambda each: int(each["Version"]))
        return found

    def _get(
        self, names: Sequence[str], key: Callable[[Mapping[str, Any]], K], *, decrypted: bool = False
    ) -> dict[K, Parameter]:
        try:
            return aws_client.call(
                self._client.get_parameters,
                read=lambda answer: {key(found): _parameter(found) for found in answer["Parameters"]},
                Names=list(names),
                WithDecryption=decrypted,
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
                    read=_page,
                    Path=path,
                    Recursive=True,
                    MaxResults=10,  # the most that AWS returns
                    WithDecryption=False,
                    **page,
                )
            except AwsError as error:
                failed = self._failed(error, "reading", path, READ_PATH)
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
        return self._put_text(rotation.status_name, text, overwrite=True)

    def create_lease(self, rotation: Rotation, text: str) -> int:
        """Write the first version of the lease, and never overwrite one."""
        return self._put_text(rotation.lease_name, text, overwrite=False)

    def write_lease(self, rotation: Rotation, text: str) -> int:
        """Write the lease as the newest version."""
        return self._put_text(rotation.lease_name, text, overwrite=True)

    def _put_text(self, name: str, text: str, *, overwrite: bool) -> int:
        """Write a String in the tier that is free of charge for it, at any default tier of the account.

        AWS would refuse the tier Standard for a parameter in the Advanced tier: a tier cannot be lowered.
        """
        return self._put(name, Value=text, Type="String", Tier="Intelligent-Tiering", Overwrite=overwrite)

    def _put(self, name: str, **parameters: Any) -> int:
        try:
            return aws_client.call(
                self._client.put_parameter,
                read=lambda answer: int(answer["Version"]),
                Name=name,
                **parameters,
            )
        except AwsError as error:
            raise self._failed(error, "writing", name, "ssm:PutParameter") from error

    def _failed(self, error: AwsError, doing: str, name: str, action: str) -> ParameterStoreError:
        return _failed(error, doing, name, action, self._advice)

    def _watch(self, parsed_response: Mapping[str, Any] | None, **_: object) -> None:
        """Report a throttled answer; the SDK passes None if there was no answer."""
        if parsed_response and parsed_response.get("Error", {}).get("Code") in aws_errors.THROTTLED:
            self._on_throttled()


def _page(answer: Mapping[str, Any]) -> tuple[dict[str, Parameter], str | None]:
    return {each["Name"]: _parameter(each) for each in answer["Parameters"]}, answer.get("NextToken")


def _parameter(found: Mapping[str, Any]) -> Parameter:
    return Parameter(value=str(found["Value"]), version=int(found["Version"]), type=str(found["Type"]))


def _shown(names: Sequence[str]) -> str:
    """Return names for a message: all of a few names, or the first and the number of the others."""
    if len(names) > NAMES_SHOWN:
        return f"{names[0]} and {len(names) - 1} others"
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def _failed(
    error: AwsError, doing: str, name: str, action: str, advice: Mapping[str, str]
) -> ParameterStoreError:
    kind = "path" if action == READ_PATH else "parameters" if " and " in name else "parameter"
    problem = f"{doing} the {kind} {name} failed: {error.code}"
    if error.code in aws_errors.CONCURRENT:
        return ConcurrentUpdate(
            problem,
            advice="find out which other program writes the parameter: a run writes only under its lease",
        )
    permission = f"allow this caller {action} on the {kind}"
    if doing == "writing":
        permission += ", and kms:Encrypt and kms:GenerateDataKey with the key if kms_key_id names one"
    if doing == "decrypting":
        permission += ", and kms:Decrypt with the token's key if kms_key_id names one"
    own = {**_WRITE_ADVICE, **dict.fromkeys(aws_errors.DENIED, permission), **advice}
    return ParameterStoreError(
        problem,
        advice=error.advice_with(own),
        retry=aws_errors.retry(error.code, Retry.NEXT_RUN),
        transient=error.code in aws_errors.TRANSIENT,
        unreachable=error.code == aws_errors.UNREACHABLE,
        foreign=error.code == aws_errors.NOT_AN_ANSWER,
    )
