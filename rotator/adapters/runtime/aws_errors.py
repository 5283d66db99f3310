"""AWS's error codes, and what to do next about those that any call may get. Needs no SDK."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType

from rotator.errors import Retry

DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "AuthorizationError"})
THROTTLED = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"}
)
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
        "RequestExpired",
    }
)
TRANSIENT = THROTTLED | AWS_FAILED
"""The codes of errors that may soon be over."""

NO_CREDENTIALS = "NoCredentials"
NOT_LOGGED_IN = "SsoNotLoggedIn"
LOGIN_EXPIRED = "SsoExpired"
CONSOLE_LOGIN_EXPIRED = "LoginExpired"
NO_TERMINAL = "NoTerminalForMfa"
ROLE_NOT_ASSUMED = "RoleNotAssumed"
SOURCE_UNREADABLE = "CredentialSourceUnreadable"
SOURCE_FAILED = "CredentialSourceFailed"
PROFILE_INVALID = "ProfileInvalid"
BAD_CERTIFICATE = "BadCertificate"
UNREACHABLE = "Unreachable"
NOT_AN_ANSWER = "NotAnAnswer"
"""Codes of ours: the last is for the answer of a proxy or a portal in AWS's place."""

_CODES = {
    "NoCredentialsError": NO_CREDENTIALS,
    "PartialCredentialsError": NO_CREDENTIALS,
    "SSOTokenLoadError": NOT_LOGGED_IN,
    "SSOError": LOGIN_EXPIRED,
    "TokenRetrievalError": LOGIN_EXPIRED,
    "LoginError": CONSOLE_LOGIN_EXPIRED,
    "RefreshWithMFAUnsupportedError": NO_TERMINAL,
    "GetPassWarning": NO_TERMINAL,
    "EOFError": NO_TERMINAL,
    "CredentialRetrievalError": SOURCE_FAILED,
    "MetadataRetrievalError": SOURCE_FAILED,
    "InvalidConfigError": PROFILE_INVALID,
    "UnknownCredentialError": PROFILE_INVALID,
    "ConfigParseError": PROFILE_INVALID,
    "ConfigNotFound": PROFILE_INVALID,
    "SSLError": BAD_CERTIFICATE,
    "ConnectionError": UNREACHABLE,
    "ConnectionClosedError": UNREACHABLE,
    "ReadTimeoutError": UNREACHABLE,
    "OSError": SOURCE_UNREADABLE,
}
"""Our codes for exceptions of the SDK and of Python, by the name of their class or of a base class.

The SDK opens the web identity file and starts credential_process, and leaves their OSError as it is.
"""

_OF_CREDENTIALS = frozenset({"AssumeRole", "AssumeRoleWithWebIdentity", "GetRoleCredentials"})
"""The operations by which the SDK and the CLI obtain credentials; nothing here calls them."""

_LOGIN_COMMANDS = {
    NOT_LOGGED_IN: "aws sso login",
    LOGIN_EXPIRED: "aws sso login",
    CONSOLE_LOGIN_EXPIRED: "aws login",
}

SEE_DOCUMENTATION = "see the code in AWS's documentation"

_ADVICE = {
    **dict.fromkeys(UNKNOWN_CALLER, "AWS does not accept these credentials: renew them, or check the clock"),
    **dict.fromkeys(THROTTLED, "find out what uses up the account's request rate"),
    **dict.fromkeys(AWS_FAILED, "see the AWS Health Dashboard"),
    NO_CREDENTIALS: "set AWS credentials or AWS_PROFILE",
    NO_TERMINAL: "run it in a terminal to enter the MFA code, or set credentials with a session token",
    ROLE_NOT_ASSUMED: "correct the role of the profile (role_arn, sso_role_name), or allow this caller to "
    "assume it: in its trust policy, too",
    SOURCE_UNREADABLE: "check that the file of web_identity_token_file (AWS_WEB_IDENTITY_TOKEN_FILE), or the "
    "program of credential_process, exists and may be used",
    SOURCE_FAILED: "check the profile's credential_process or the container's credentials endpoint: see what "
    "`aws sts get-caller-identity` reports",
    PROFILE_INVALID: "correct the AWS config file: the profile, its source_profile, or the file's syntax",
    BAD_CERTIFICATE: "set AWS_CA_BUNDLE to the certificates of the proxy in between",
    UNREACHABLE: "check the network path to AWS and AWS_ENDPOINT_URL",
    NOT_AN_ANSWER: "check whether a proxy answers in AWS's place",
}


def code_of(error: Exception) -> str | None:
    """Return our code for an exception of the SDK or of Python, or None if it has none."""
    return next((_CODES[each.__name__] for each in type(error).__mro__ if each.__name__ in _CODES), None)


def code_after(code: str, operation: str) -> str:
    """Return AWS's code, or ours if it refused the role of the profile."""
    is_refusal = operation in _OF_CREDENTIALS and not (code in UNKNOWN_CALLER or may_pass(code))
    return ROLE_NOT_ASSUMED if is_refusal else code


def asks_for_login(code: str) -> bool:
    """Whether a login with the AWS CLI is the next step."""
    return code in _LOGIN_COMMANDS


def advice(
    code: str,
    own: Mapping[str, str] = MappingProxyType({}),
    *,
    otherwise: str = SEE_DOCUMENTATION,
    profile: str = "NAME",
) -> str:
    """Return the next step after an error with this code.

    Args:
        code: AWS's, or one of ours.
        own: Advice of the failed call for its codes, which comes before the common one.
        otherwise: For a code without advice.
        profile: To log in with.
    """
    if code in own:
        return own[code]
    if asks_for_login(code):
        return f"run `{_LOGIN_COMMANDS[code]} --profile {shlex.quote(profile)}`"
    return _ADVICE.get(code, otherwise)


def may_pass(code: str) -> bool:
    """Whether the same call may succeed later without a change."""
    return code in TRANSIENT or code in (UNREACHABLE, NOT_AN_ANSWER)


def retry(code: str, by: Retry) -> Retry | None:
    """Return who tries the call again, or None if that cannot help."""
    return by if may_pass(code) else None
