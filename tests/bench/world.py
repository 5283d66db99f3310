"""The parameters of the stub: documents, tokens and statuses of n rotations, all fresh or all due."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

LIFETIME = 86_400
"""The lifetime of a token in seconds."""

DOCUMENTS = "/bench/rotations"
PAGE = 10
"""The most parameters in an answer of GetParametersByPath.
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html"""


def token_parameter(number: int) -> str:
    """The name of a rotation's token parameter."""
    return f"/bench/tokens/{number:05}"


@dataclass
class Parameter:
    """A parameter's newest version."""

    value: str
    type: str = "String"
    version: int = 1


@dataclass
class BenchEnvironment:
    """Parameters by name. Every secret exists, and holds the same."""

    token_endpoint: str = ""
    parameters: dict[str, Parameter] = field(default_factory=dict)
    documents: list[str] = field(default_factory=list)
    serial: count[int] = field(default_factory=count)

    def fill(self, *, rotations: int, due: bool) -> None:
        """Forget everything; hold this many rotations, with documents, tokens and statuses."""
        self.parameters.clear()
        self.documents = [f"{DOCUMENTS}/{number:05}" for number in range(rotations)]
        for number, document in enumerate(self.documents):
            self._add_rotation(document, token_parameter(number), due=due)

    def issue(self) -> dict[str, Any]:
        """Issue a token: an unsigned JWT, different each time."""
        now = int(datetime.now(UTC).timestamp())
        claims = {"jti": next(self.serial), "iat": now, "exp": now + LIFETIME, "scope": "x" * 500}
        parts = (json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "at+jwt"}, claims))
        token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        return {"access_token": f"{token}.{'s' * 342}", "token_type": "Bearer", "expires_in": LIFETIME}

    def call(self, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer an operation of SSM's or Secrets Manager's: status and body."""
        match operation:
            case "GetParameters":
                known = [name for name in asked["Names"] if name in self.parameters]
                invalid = [name for name in asked["Names"] if name not in self.parameters]
                return 200, {
                    "Parameters": [self._reported(name) for name in known],
                    "InvalidParameters": invalid,
                }
            case "GetParametersByPath":
                return 200, self._page(asked["Path"], int(asked.get("NextToken", 0)))
            case "PutParameter":
                return self._put(asked)
            case "GetSecretValue":
                return 200, _secret(asked["SecretId"])
        return 400, {"__type": "UnknownOperationException"}

    def _add_rotation(self, document: str, parameter: str, *, due: bool) -> None:
        text = {
            "secret_id": document.strip("/"),
            "parameter_name": parameter,
            "token_endpoint": self.token_endpoint,
        }
        token = self.issue()["access_token"]
        self.parameters[document] = Parameter(json.dumps(text))
        self.parameters[parameter] = Parameter(token, "SecureString")
        self.parameters[f"{parameter}/status"] = Parameter(_status(token, due=due))

    def _page(self, path: str, start: int) -> dict[str, Any]:
        names = self.documents if path.rstrip("/") == DOCUMENTS else []
        page = {"Parameters": [self._reported(name) for name in names[start : start + PAGE]]}
        return page | ({"NextToken": str(start + PAGE)} if start + PAGE < len(names) else {})

    def _reported(self, name: str) -> dict[str, Any]:
        found = self.parameters[name]
        return {
            "Name": name,
            "Value": found.value,
            "Type": found.type,
            "Version": found.version,
            "LastModifiedDate": 1.7e9,
            "ARN": f"arn:aws:ssm:us-east-1:123456789012:parameter{name}",
            "DataType": "text",
        }

    def _put(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        before = self.parameters.get(asked["Name"])
        if before and not asked.get("Overwrite"):
            return 400, {"__type": "ParameterAlreadyExists"}
        version = before.version + 1 if before else 1
        self.parameters[asked["Name"]] = Parameter(asked["Value"], asked.get("Type", "String"), version)
        return 200, {"Version": version, "Tier": "Standard"}


def _secret(name: str) -> dict[str, Any]:
    return {
        "ARN": f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf",
        "Name": name,
        "VersionId": "01234567-89ab-cdef-0123-456789abcdef",
        "SecretString": json.dumps({"client_id": "bench", "client_secret": "a secret+/=="}),
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1.7e9,
    }


def _status(token: str, *, due: bool) -> str:
    """The status of a token that was issued just now, or long enough ago to be due and not to end soon."""
    issued = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=0.8 * LIFETIME if due else 60)
    ends, renew = issued + timedelta(seconds=LIFETIME), issued + timedelta(seconds=0.667 * LIFETIME)
    return json.dumps(
        {
            "schema": 1,
            "parameter_version": 1,
            "issued_at": f"{issued:%Y-%m-%dT%H:%M:%SZ}",
            "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
            "renew_at": f"{renew:%Y-%m-%dT%H:%M:%SZ}",
            "scope": "*",
            "token_type": "Bearer",
            "token_sha256": hashlib.sha256(token.encode()).hexdigest()[:16],
            "secret_version_id": "01234567-89ab-cdef-0123-456789abcdef",
            "rotator_version": "1.0.0",
        }
    )
