"""Who reads tokens pays for nothing that renews them, nor for an HTTP library that is not used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest

HTTP = {"requests", "httpx", "anyio"}
PROGRAM = "import sys; {}; print(*(name for name in sys.modules))"


def loaded_by(statement: str, environment: Mapping[str, str]) -> set[str]:
    """The modules that a new process has after a statement."""
    command = [sys.executable, "-c", PROGRAM.format(statement)]
    return set(
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    )


def test_a_token_source_brings_nothing_of_the_rotating_side(clean_environment: Mapping[str, str]) -> None:
    loaded = loaded_by("from rotator.consumer import TokenSource", clean_environment)
    ours = {
        name for name in loaded if name.startswith("rotator.") and not name.startswith("rotator.consumer")
    }
    assert ours == {
        "rotator.adapters",
        "rotator.adapters.runtime",
        "rotator.adapters.runtime.aws_client",
        "rotator.adapters.runtime.aws_errors",
        "rotator.errors",
        "rotator.oauth",
        "rotator.oauth.http_date",
        "rotator.oauth.jwt",
        "rotator.oauth.models",
    }
    assert not loaded & {*HTTP, "tenacity", "click", "rich", "aws_lambda_powertools"}


@pytest.mark.parametrize(("name", "library"), [("TokenAuth", "requests"), ("HttpxTokenAuth", "httpx")])
def test_an_auth_brings_its_own_library_alone(
    name: str, library: str, clean_environment: Mapping[str, str]
) -> None:
    loaded = loaded_by(f"from rotator.consumer import {name}", clean_environment)
    assert loaded & {"requests", "httpx"} == {library}


def test_without_httpx_the_rest_works_and_its_auth_says_what_is_missing(
    clean_environment: Mapping[str, str],
) -> None:
    statement = "sys.modules['httpx'] = None; from rotator.consumer import TokenSource, TokenAuth"
    assert "requests" in loaded_by(statement, clean_environment)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        loaded_by(
            "sys.modules['httpx'] = None; from rotator.consumer import HttpxTokenAuth", clean_environment
        )
    assert "httpx" in str(caught.value.stderr)


def test_what_is_not_there_is_an_attribute_error() -> None:
    import rotator.consumer

    with pytest.raises(AttributeError, match="no attribute 'Token'"):
        _ = rotator.consumer.Token
