"""SSM Parameter Store behind the port: GetParameters, GetParametersByPath, PutParameter."""

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
    "ParameterLimitExceeded": "delete parameters that are not used any more, or raise the quota",
    "ParameterMaxVersionLimitExceeded": "remove the label from the oldest of its 100 versions",
    "ParameterPatternMismatchException": "remove the parameter's AllowedPattern",
    "HierarchyTypeMismatchException": "delete the parameter, it has another type",
    "HierarchyLevelLimitExceededException": "use a name of at most 15 levels",
    "UnsupportedParameterType": "delete the parameter, it has another type",
    "PoliciesLimitExceededException": "remove policies from the parameter",
    "ValidationException": "check parameter_name, tier and the parameter's type",
}


PAGE_DELAY_SECONDS = 2.0
"""Before a page is read again that was throttled at each of the SDK's attempts."""

NAMES_SHOWN = 3
"""In a message: token, status and lease."""


class SsmParameterStore:
    """The port ParameterStore on SSM.

    Args:
        client: The SDK's client.
        on_throttled: Is called for every write that AWS throttles.
        advice: The next steps after error codes that mean something else in the client's Region.
        sleep: Waits before a throttled page is read again.
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
        # The SDK reports each answer, also those after which its own retry succeeds.
        client.meta.events.register("response-received.ssm.PutParameter", self._watch)

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Read up to ten parameters in one call, encrypted values as they are stored."""
        return self._get(names, lambda found: str(found["Name"]))

    def read_decrypted(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Read up to ten parameters in one call, encrypted values in the clear."""
        return self._get(names, lambda found: str(found["Name"]), decrypted=True)

    def read_versions(self, name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        """Read versions of a parameter; those that are gone are among AWS's InvalidParameters."""
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
        """Read everything below a path, ten parameters a page."""
        page: dict[str, Any] = {}
        while True:
            try:
                found, token = aws_client.call(
                    self._client.get_parameters_by_path,
                    read=_page,
                    Path=path,
                    Recursive=True,
                    MaxResults=10,  # as many as it gives
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
        """Write the first version of the lease; never over another."""
        return self._put_text(rotation.lease_name, text, overwrite=False)

    def write_lease(self, rotation: Rotation, text: str) -> int:
        """Write the lease as the newest version."""
        return self._put_text(rotation.lease_name, text, overwrite=True)

    def _put_text(self, name: str, text: str, *, overwrite: bool) -> int:
        """Write a String in the tier that is free for it, whatever the account's default tier is.

        The tier Standard would be refused for a parameter that is in the Advanced tier already: no tier can
        be lowered.
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
        """Take note of an answer; it is None where none came."""
        if parsed_response and parsed_response.get("Error", {}).get("Code") in aws_errors.THROTTLED:
            self._on_throttled()


def _page(answer: Mapping[str, Any]) -> tuple[dict[str, Parameter], str | None]:
    return {each["Name"]: _parameter(each) for each in answer["Parameters"]}, answer.get("NextToken")


def _parameter(found: Mapping[str, Any]) -> Parameter:
    return Parameter(value=str(found["Value"]), version=int(found["Version"]), type=str(found["Type"]))


def _shown(names: Sequence[str]) -> str:
    """Return names for a message: a few, such as those of one rotation, or the first and how many others."""
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
            problem, advice="a run writes it only while it holds the lease: find out what else writes it"
        )
    permission = f"allow this caller {action} on {'them' if kind == 'parameters' else 'it'}"
    if doing == "writing":
        permission += ", and kms:Encrypt and kms:GenerateDataKey with its key if kms_key_id names one"
    if doing == "decrypting":
        permission += ", and kms:Decrypt with the token's key if it is one of yours"
    own = {**_WRITE_ADVICE, **dict.fromkeys(aws_errors.DENIED, permission), **advice}
    return ParameterStoreError(
        problem,
        advice=error.advice_with(own),
        retry=aws_errors.retry(error.code, Retry.NEXT_RUN),
        transient=error.code in aws_errors.TRANSIENT,
        unreachable=error.code == aws_errors.UNREACHABLE,
        foreign=error.code == aws_errors.NOT_AN_ANSWER,
    )
