"""The settings of one rotation in the environment, and the message that refuses them."""

from __future__ import annotations

import pytest

from rotator.config import environment
from rotator.errors import SettingsError

REQUIRED = {"ROTATOR_SECRET_ID": "healthwise/client", "ROTATOR_PARAMETER_NAME": "/healthwise/token"}


def read(**changes: str) -> environment.Settings:
    return environment.read_environment(
        {**REQUIRED, **{f"ROTATOR_{k.upper()}": v for k, v in changes.items()}}
    )


def refused(**changes: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(**changes)
    return str(caught.value)
