"""Profiles of the AWS config file whose credentials cannot be obtained, and what is to be said of each."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

CANARY = "canary-of-the-aws-config"
ROLE = "role_arn = arn:aws:iam::111122223333:role/operator\n"
SSO = """sso_account_id = 111122223333
sso_role_name = Operator
{}
[sso-session rotator-tests]
sso_start_url = https://start.invalid/start
sso_region = us-east-1
"""
SESSION = SSO.format("sso_session = rotator-tests")
EARLIER_SSO = SSO.format("sso_start_url = https://start.invalid/start\nsso_region = us-east-1")
KEYS = f"[profile base]\naws_access_key_id = AKIA\naws_secret_access_key = {CANARY}\n"
LOG_IN = "run `aws sso login --profile operator`"
TO_SOURCE = "check that the file in web_identity_token_file (AWS_WEB_IDENTITY_TOKEN_FILE), or the program in"
TO_PROCESS = "run `aws sts get-caller-identity` for details, and check credential_process"
TO_FILE = "correct the AWS config file"
TO_TERMINAL = "run the command in a terminal to enter the MFA code"


@dataclass(frozen=True)
class Profile:
    """The profile in use and what follows it in the file; ``logged_in`` is whether a login has expired."""

    text: str
    code: str
    step: str
    logged_in: bool = False
    head: str = "[profile operator]\nregion = us-east-1\n"

    def write(self, home: Path) -> dict[str, str]:
        """Write the AWS config file below a home, and return the variables that lead there."""
        cache = home / ".aws" / "sso" / "cache"
        cache.mkdir(parents=True)
        if self.logged_in:
            login = {"accessToken": CANARY, "expiresAt": "2020-01-01T00:00:00Z"}
            file = cache / f"{hashlib.sha1(b'rotator-tests', usedforsecurity=False).hexdigest()}.json"
            file.write_text(json.dumps(login))
        config = home / ".aws" / "config"
        config.write_text(self.head + self.text)
        return {
            "HOME": str(home),
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_PROFILE": "operator",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


PROFILES = {
    "SSO not logged in": Profile(SESSION, "SsoNotLoggedIn", LOG_IN),
    "SSO of the earlier form": Profile(EARLIER_SSO, "SsoNotLoggedIn", LOG_IN),
    "a role of an SSO profile": Profile(
        f'{ROLE}source_profile = a b\n[profile "a b"]\n{SESSION}',
        "SsoNotLoggedIn",
        "run `aws sso login --profile 'a b'`",
    ),
    "a missing web identity file": Profile(
        f"{ROLE}web_identity_token_file = /nowhere/{CANARY}\n", "CredentialSourceUnreadable", TO_SOURCE
    ),
    "a missing program": Profile(
        f"credential_process = /nowhere/{CANARY}\n", "CredentialSourceUnreadable", TO_SOURCE
    ),
    "a program that fails": Profile(
        f"credential_process = sh -c 'echo {CANARY} >&2; exit 1'\n", "CredentialSourceFailed", TO_PROCESS
    ),
    "a program that prints no JSON": Profile(
        f"credential_process = echo {CANARY}\n", "CredentialSourceFailed", TO_PROCESS
    ),
    "a program that prints expired credentials": Profile(
        f"""credential_process = echo '{{"Version": 1, "AccessKeyId": "{CANARY}", "SecretAccessKey": "x", """
        """"SessionToken": "x", "Expiration": "2020-01-01T00:00:00Z"}'\n""",
        "CredentialSourceFailed",
        TO_PROCESS,
    ),
    "a missing source profile": Profile(f"{ROLE}source_profile = {CANARY}\n", "ProfileInvalid", TO_FILE),
    "source profiles in a circle": Profile(
        f"{ROLE}source_profile = b\n[profile b]\n{ROLE}source_profile = operator\n", "ProfileInvalid", TO_FILE
    ),
    "an incomplete SSO profile": Profile("sso_session = gone\n", "ProfileInvalid", TO_FILE),
    "a malformed file": Profile(CANARY, "ProfileInvalid", TO_FILE, head="[profile operator\n"),
    "half a key": Profile(f"aws_access_key_id = {CANARY}\n", "NoCredentials", "set AWS credentials or"),
}
"""Of which no answer of AWS and no home is needed."""

EXPIRED_SSO = Profile(SESSION, "SsoExpired", LOG_IN, logged_in=True)
MFA = Profile(
    f"{ROLE}source_profile = base\nmfa_serial = arn:aws:iam::111122223333:mfa/me\n{KEYS}",
    "NoTerminalForMfa",
    TO_TERMINAL,
)
ROLE_OF_KEYS = Profile(f"{ROLE}source_profile = base\n{KEYS}", "RoleNotAssumed", "correct the role of the")
EVERY = {**PROFILES, "SSO expired": EXPIRED_SSO, "MFA without a terminal": MFA}
