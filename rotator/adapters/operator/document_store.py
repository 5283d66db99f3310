"""Rotation documents in SSM Parameter Store: PutParameter and DeleteParameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.adapters.runtime.parameter_store import TEXT, WRITE_ADVICE, put
from rotator.errors import ConcurrentUpdate, ParameterStoreError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_ADVICE = {
    **WRITE_ADVICE,
    "HierarchyTypeMismatchException": "remove the document, wait 30 s, and add it again",
    "HierarchyLevelLimitExceededException": "use a path of fewer levels",
    "ValidationException": "check the path",
}


class SsmDocumentStore:
    """The port DocumentStore on SSM."""

    def __init__(self, client: SSMClient) -> None:
        self._client = client

    def write(self, document: str, text: str, *, overwrite: bool) -> None:
        """Write the newest version, or only a first one."""
        try:
            put(self._client, Name=document, Value=text, Overwrite=overwrite, **TEXT)
        except AwsError as error:
            raise _failed(error, "writing", document, "ssm:PutParameter") from error

    def delete(self, document: str) -> bool:
        """Delete a document with all its versions.

        https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameter.html
        """
        try:
            aws_client.call(
                self._client.delete_parameter,
                read=lambda answer: answer["ResponseMetadata"]["RequestId"],  # the answer has no other member
                Name=document,
            )
        except AwsError as error:
            if error.code == "ParameterNotFound":
                return False
            raise _failed(error, "deleting", document, "ssm:DeleteParameter") from error
        return True


def _failed(error: AwsError, doing: str, document: str, action: str) -> ParameterStoreError:
    problem = f"{doing} the rotation document {document} failed: {error.code}"
    if error.code in aws_errors.CONCURRENT:
        advice = "another operator has just written the document: check `rotator list`"
        return ConcurrentUpdate(problem, advice=advice)
    own = {**_ADVICE, **dict.fromkeys(aws_errors.DENIED, f"allow this caller {action} on the document")}
    return ParameterStoreError(problem, advice=error.advice_with(own), retry=error.retry)
