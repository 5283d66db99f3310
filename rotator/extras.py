"""The extras of the distribution, and the line that a command prints without the one that it needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

DISTRIBUTION = "oauth-token-rotator"

USAGE = 2
"""The exit code if settings, the command line or the installation are wrong."""

PACKAGES = {
    "cli": ("click", "rich", "greenlet", "requests", "urllib3", "tenacity"),
    "local": ("authlib", "boto3", "flask", "joserfc", "ministack", "werkzeug", "yaml"),
    "plot": ("matplotlib",),
}
"""The packages that an extra for commands brings, as they are imported."""


def advice(extra: str) -> str:
    """Return how to install an extra, into an environment with or without the distribution."""
    return f"run: pip install '{DISTRIBUTION}[{extra}]'"


@contextmanager
def missing_package_reported(extra: str) -> Iterator[None]:
    """Exit with one line that names the extra if a package of a command is not installed.

    All packages of the extra are checked first, not only when the command needs them. A missing package
    that no extra brings is a defect, and raised.
    """
    try:
        for package in PACKAGES[extra]:
            if find_spec(package) is None:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        brings = [extra for extra, packages in PACKAGES.items() if missing in packages]
        if not brings:
            raise
        line = f"rotator: the package {missing} is not installed; {advice(brings[0])}"
        print(line, file=sys.stderr)  # noqa: T201 - click may be what is missing
        sys.exit(USAGE)
