"""The extras that messages name: every package of a command is in one, and the distribution has it."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import CHECKOUT
from rotator import extras

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
ALWAYS = {"botocore"}
FOR_TYPES = {"mypy_boto3_ssm", "mypy_boto3_secretsmanager"}
OF_OTHERS = {"urllib3": "requests", "werkzeug": "flask", "yaml": "ministack"}
"""Packages that come with another one, whose requirement is ours."""

NOT_OF_COMMANDS = ("consumer/httpx_auth.py", "observability/metrics.py")
MODULES = sorted((CHECKOUT / "rotator").rglob("*.py"))


def imported(module: Path) -> Iterator[str]:
    """The packages that a module imports, inside functions, too."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def required(extra: str) -> set[str]:
    """What an extra requires, and those that it includes."""
    found: set[str] = set()
    for each in map(Requirement, PROJECT["optional-dependencies"][extra]):
        if each.name == PROJECT["name"]:
            found = found.union(*map(required, each.extras))
        else:
            found.add(canonicalize_name(each.name))
    return found


def test_every_package_that_a_command_imports_has_an_extra() -> None:
    modules = [each for each in MODULES if not each.as_posix().endswith(NOT_OF_COMMANDS)]
    packages = {package for module in modules for package in imported(module)}
    named = {package for packages in extras.PACKAGES.values() for package in packages}
    assert packages - ALWAYS - FOR_TYPES - sys.stdlib_module_names - {"rotator"} == named


@pytest.mark.parametrize("extra", extras.PACKAGES)
def test_named_extra_requires_the_package(extra: str) -> None:
    distributions = packages_distributions()
    for package in extras.PACKAGES[extra]:
        names = distributions[OF_OTHERS.get(package, package)]
        assert {canonicalize_name(name) for name in names} <= required(extra), package


def test_distribution_is_that_of_the_project() -> None:
    assert PROJECT["name"] == extras.DISTRIBUTION
