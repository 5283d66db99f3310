"""An account on the embedded AWS, once for each file; and a reader's shell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from command_line import Shell
from deployed_stack import Deployed, running
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account
from stored_tokens import PARAMETER, put, token_expiring_in


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, function_zip: Path) -> Iterator[Deployed]:
    """An account in which a test creates its stacks."""
    with running(tmp_path_factory.mktemp("deployed"), function_zip) as found:
        yield found


@pytest.fixture
def shell(moto: Account, clean_environment: Mapping[str, str]) -> Shell:
    """The shell of a consumer who knows only the parameter's name."""
    settings = {"ROTATOR_PARAMETER_NAME": PARAMETER, "COLUMNS": "200"}
    return Shell({**clean_environment, **client_environment(moto.endpoint), **settings}, moto)


@pytest.fixture
def token(moto: Account) -> str:
    """A stored token with a lifetime of one day."""
    token = token_expiring_in(86400)
    put(moto, token)
    return token
