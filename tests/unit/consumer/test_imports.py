"""A consumer imports neither the code that renews tokens nor an HTTP library that it does not use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest

HTTP = {"requests", "httpx", "anyio"}
PROGRAM = "import sys; {}; print(*(name for name in sys.modules))"


def loaded_by(statement: str, environment: Mapping[str, str]) -> set[str]:
    """Return the modules that a new process has imported after a statement."""
    command = [sys.executable, "-c", PROGRAM.format(statement)]
    return set(
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    )


def test_token_source_import_loads_no_rotation_modules(clean_environment: Mapping[str, str]) -> None:
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
        "rotator.oauth.dates",
        "rotator.oauth.jwt",
        "rotator.oauth.models",
    }
    assert not loaded & {*HTTP, "tenacity", "click", "rich", "aws_lambda_powertools"}


@pytest.mark.parametrize(("name", "library"), [("TokenAuth", "requests"), ("HttpxTokenAuth", "httpx")])
def test_auth_class_import_loads_only_its_http_library(
    name: str, library: str, clean_environment: Mapping[str, str]
) -> None:
    loaded = loaded_by(f"from rotator.consumer import {name}", clean_environment)
    assert loaded & {"requests", "httpx"} == {library}


def test_missing_httpx_fails_only_the_httpx_auth_import(
    clean_environment: Mapping[str, str],
) -> None:
    statement = "sys.modules['httpx'] = None; from rotator.consumer import TokenSource, TokenAuth"
    assert "requests" in loaded_by(statement, clean_environment)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        loaded_by(
            "sys.modules['httpx'] = None; from rotator.consumer import HttpxTokenAuth", clean_environment
        )
    assert "httpx" in str(caught.value.stderr)


def test_unknown_name_raises_attribute_error() -> None:
    import rotator.consumer

    with pytest.raises(AttributeError, match="no attribute 'Token'"):
        _ = rotator.consumer.Token
