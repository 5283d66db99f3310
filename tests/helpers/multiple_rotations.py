"""Multiple rotations in memory: their documents, tokens and status."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from fake_ports import DAY, Clock, FakeDocumentStore, FakePorts, ports, rotation
from rotator.bootstrap import Rotator
from rotator.config.environment import Settings
from rotator.oauth.models import Secret
from rotator.renewal import status
from rotator.renewal.models import Status

PATH = "/rotations"


def document(of: str, **changes: Any) -> dict[str, Any]:
    """Return the fields of a rotation document, with defaults."""
    return {"secret_id": "healthwise/client", "parameter_name": f"/{of}/token", **changes}


class MultipleRotations:
    """A fleet with these documents, given as fields or as text."""

    def __init__(self, **documents: Any) -> None:
        self.clock = Clock()
        self.ports: FakePorts = ports(self.clock)
        self.documents = FakeDocumentStore(self.ports.parameters)
        self.rotator = Rotator(Settings(rotation=None, rotations_path=PATH), self.ports)
        for name, fields in documents.items():
            self.put(name, fields)

    def put(self, name: str, fields: Any, kind: str = "String") -> None:
        text = fields if isinstance(fields, str) else json.dumps(fields)
        self.ports.parameters.put(f"{PATH}/{name}", text, kind)

    def set(self, **changes: Any) -> MultipleRotations:
        """Change settings of the run."""
        self.rotator = replace(self.rotator, settings=replace(self.rotator.settings, **changes))
        return self

    def texts(self) -> dict[str, str]:
        """Return the stored documents, by their names below the path."""
        return {
            name.removeprefix(f"{PATH}/"): parameter.value
            for page in self.ports.parameters.read_path(PATH)
            for name, parameter in page.items()
        }

    def token(self, of: str, *, hours_left: float, lifetime: float = DAY) -> None:
        """Store a token that expires in some hours, and its status."""
        each = rotation(name=of, parameter_name=f"/{of}/token")
        version = self.ports.parameters.write_token(each, Secret("stored"))
        expires_at = self.clock.now() + timedelta(hours=hours_left)
        reported = Status(
            parameter_version=version,
            issued_at=expires_at - timedelta(seconds=lifetime),
            expires_at=expires_at,
            renew_at=expires_at - timedelta(seconds=lifetime / 3),
            scope="*",
            token_sha256="0" * 16,
            secret_version_id="secret-v1",
            rotator_version="0",
        )
        self.ports.parameters.write_status(each, status.dump(reported))
