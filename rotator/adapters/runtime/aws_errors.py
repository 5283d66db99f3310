"""AWS's error codes, and the next step after those that any call may return. Needs no SDK."""

from __future__ import annotations

import shlex

DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "AuthorizationError"})
THROTTLED = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"}
)
CONCURRENT = frozenset({"ParameterAlreadyExists", "TooManyUpdates"})
AWS_FAILED = frozenset(
    {
        *("InternalServerError", "InternalServiceError", "InternalFailure", "ServiceUnavailable"),
        # https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html#API_Sign_Errors
        *("KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException"),
    }
)
UNKNOWN_CALLER = frozenset(
    {
        *("UnrecognizedClientException", "InvalidClientTokenId", "MissingAuthenticationToken"),
        *("ExpiredTokenException", "ExpiredToken", "RequestExpired"),
        *("InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature"),
    }
)
TRANSIENT = THROTTLED | AWS_FAILED
"""The codes of errors after which a retry may soon succeed."""

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
"""The rotator's own codes. NOT_AN_ANSWER means that a proxy or a portal answered instead of AWS."""

_EXCEPTIONS = {
    NO_CREDENTIALS: {"NoCredentialsError", "PartialCredentialsError"},
    NOT_LOGGED_IN: {"SSOTokenLoadError"},
    LOGIN_EXPIRED: {"SSOError", "TokenRetrievalError"},
    CONSOLE_LOGIN_EXPIRED: {"LoginError"},
    NO_TERMINAL: {"RefreshWithMFAUnsupportedError", "GetPassWarning", "EOFError"},
    SOURCE_FAILED: {"CredentialRetrievalError", "MetadataRetrievalError"},
    PROFILE_INVALID: {"InvalidConfigError", "UnknownCredentialError", "ConfigParseError", "ConfigNotFound"},
    BAD_CERTIFICATE: {"SSLError"},
    UNREACHABLE: {"ConnectionError", "ConnectionClosedError", "ReadTimeoutError"},
    SOURCE_UNREADABLE: {"OSError"},
}
"""The exceptions of the SDK and of Python for each of the rotator's codes, by their class or a base class.

OSError comes from the web identity file or from credential_process; the SDK does not convert it.
"""

_OF_CREDENTIALS = frozenset({"AssumeRole", "AssumeRoleWithWebIdentity", "GetRoleCredentials"})
"""The operations with which the SDK and the AWS CLI obtain credentials."""

LOGIN_COMMANDS = {
    NOT_LOGGED_IN: "aws sso login",
    LOGIN_EXPIRED: "aws sso login",
    CONSOLE_LOGIN_EXPIRED: "aws login",
}
"""The codes after which a login with the AWS CLI is the next step."""

_ADVICE = {
    **dict.fromkeys(
        UNKNOWN_CALLER, "renew the AWS credentials, which AWS does not accept, or check this machine's clock"
    ),
    **dict.fromkeys(THROTTLED, "find out which other callers use up the account's request rate"),
    **dict.fromkeys(AWS_FAILED, "check the AWS Health Dashboard"),
    NO_CREDENTIALS: "set AWS credentials or AWS_PROFILE",
    NO_TERMINAL: "run the command in a terminal to enter the MFA code, or set session credentials",
    ROLE_NOT_ASSUMED: "correct the role in the AWS profile (role_arn, sso_role_name), or allow this caller "
    "to assume the role, also in the role's trust policy",
    SOURCE_UNREADABLE: "check that the file in web_identity_token_file (AWS_WEB_IDENTITY_TOKEN_FILE), or the "
    "program in credential_process, exists and may be used",
    SOURCE_FAILED: "run `aws sts get-caller-identity` for details, and check credential_process in the AWS "
    "profile or the container's credentials endpoint",
    PROFILE_INVALID: "correct the AWS config file: the profile, its source_profile, or the file's syntax",
    BAD_CERTIFICATE: "set AWS_CA_BUNDLE to the certificates of the proxy between this machine and AWS",
    UNREACHABLE: "check the network path to AWS, and AWS_ENDPOINT_URL",
    NOT_AN_ANSWER: "check whether a proxy answers instead of AWS",
}


def code_of(error: Exception) -> str | None:
    """Return the rotator's code for an exception of the SDK or of Python, or None if it has none."""
    bases = [each.__name__ for each in type(error).__mro__]
    return next((code for name in bases for code, names in _EXCEPTIONS.items() if name in names), None)


def code_after(code: str, operation: str) -> str:
    """Return AWS's code, or ROLE_NOT_ASSUMED if AWS refused the role of the profile."""
    is_refusal = operation in _OF_CREDENTIALS and not (code in UNKNOWN_CALLER or may_pass(code))
    return ROLE_NOT_ASSUMED if is_refusal else code


def advice(
    code: str, *, otherwise: str = "look up this error code in AWS's documentation", profile: str = "NAME"
) -> str:
    """Return the next step after an error with this code; ``profile`` is the profile for a login."""
    if code in LOGIN_COMMANDS:
        return f"run `{LOGIN_COMMANDS[code]} --profile {shlex.quote(profile)}`"
    return _ADVICE.get(code, otherwise)


def may_pass(code: str) -> bool:
    """Whether the same call may succeed later without a change."""
    return code in TRANSIENT or code in (UNREACHABLE, NOT_AN_ANSWER)
