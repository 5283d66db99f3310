"""AWS's error codes, and what to do next about those that any call may get. Needs no SDK."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})
THROTTLED = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException"})
CONCURRENT = frozenset({"ParameterAlreadyExists", "TooManyUpdates"})
AWS_FAILED = frozenset(
    {
        "InternalServerError",
        "InternalServiceError",
        "InternalFailure",
        "ServiceUnavailable",
        # https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html#API_Sign_Errors
        "KMSInternalException",
        "DependencyTimeoutException",
        "KeyUnavailableException",
    }
)
UNKNOWN_CALLER = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "ExpiredTokenException",
        "ExpiredToken",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "MissingAuthenticationToken",
    }
)
TRANSIENT = THROTTLED | AWS_FAILED
"""The codes of errors that may soon be over."""

NO_CREDENTIALS = "NoCredentials"
UNREACHABLE = "Unreachable"
NOT_AN_ANSWER = "NotAnAnswer"
"""Codes of ours: the third is for the answer of a proxy or a portal in AWS's place."""

SEE_DOCUMENTATION = "see the code in AWS's documentation"

_ADVICE = {
    **dict.fromkeys(UNKNOWN_CALLER, "AWS does not accept these credentials: renew them, or check the clock"),
    **dict.fromkeys(THROTTLED, "find out what uses up the account's request rate"),
    **dict.fromkeys(AWS_FAILED, "see the AWS Health Dashboard"),
    NO_CREDENTIALS: "set AWS credentials or AWS_PROFILE",
    UNREACHABLE: "check the network path to AWS and AWS_ENDPOINT_URL",
    NOT_AN_ANSWER: "check whether a proxy answers in AWS's place",
}


def advice(
    code: str, own: Mapping[str, str] = MappingProxyType({}), *, otherwise: str = SEE_DOCUMENTATION
) -> str:
    """Return the next step after an error with this code.

    Args:
        code: AWS's, or one of ours.
        own: Advice of the failed call for its codes, which comes before the common one.
        otherwise: For a code without advice.
    """
    return own.get(code) or _ADVICE.get(code, otherwise)


def may_pass(code: str) -> bool:
    """Whether the same call may succeed later although nobody changes anything."""
    return code in TRANSIENT or code in (UNREACHABLE, NOT_AN_ANSWER)
