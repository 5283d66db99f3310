"""The direction of imports: between packages they run one way, and SDKs stay in the adapters."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import rotator

ROOT = Path(rotator.__file__).parent

CORE = ("renewal", "oauth", "errors")
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "errors": (),
    "extras": (),
    "oauth": ("errors",),
    "renewal": ("oauth", "errors"),
    "config": CORE,
    "fleet": ("config", *CORE),
    "workers": ("fleet", "config", *CORE),
    "replication": ("fleet", *CORE),
    "observability": ("renewal", "oauth"),
    "adapters.runtime": ("observability", *CORE),
    "adapters.operator": ("adapters.runtime", "config", *CORE),
    "bootstrap": (
        "adapters.operator",
        "adapters.runtime",
        "observability",
        "workers",
        "replication",
        "fleet",
        "config",
        *CORE,
    ),
    "handler": ("bootstrap", "observability", "workers", "fleet", *CORE),
    "consumer": (
        *("adapters.runtime.aws_client", "adapters.runtime.aws_errors"),
        *("oauth.dates", "oauth.jwt", "oauth.models", "errors", "extras"),
    ),
    "doctor": ("observability", "replication", "fleet", "config", *CORE),
    "simulation": ("adapters.runtime.token_endpoint", "workers", "fleet", "config", "extras", *CORE),
    "devstack": ("adapters.runtime.aws_client", "renewal", "extras"),
    "cli": (
        *("bootstrap", "doctor", "simulation", "devstack", "consumer", "adapters.operator"),
        *("adapters.runtime", "observability", "replication", "fleet", "config", "extras", *CORE),
    ),
    "__main__": ("cli", "extras"),
}
"""Of each package or module, from the bottom to the top, those whose modules it may import."""

SDKS = {"boto3", "botocore", "requests", "tenacity", "urllib3"}
SDK_USERS = ("adapters", "consumer.ssm", "consumer.requests_auth", "devstack")
ENVIRONMENT_USERS = ("cli", "handler", "devstack", "adapters.runtime.aws_client")


def modules() -> list[str]:
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in ROOT.rglob("*.py")
        if path != ROOT / "__init__.py"
    )


def source(module: str) -> str:
    path = ROOT / module.replace(".", "/")
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


def imports(module: str) -> Iterator[str]:
    """All that a module imports, inside functions and for types, too; ours without ``rotator.``."""
    for node in ast.walk(ast.parse(source(module))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}".removeprefix("rotator.")
                yield name if name in MODULES else node.module.removeprefix("rotator.")


MODULES = modules()
OF_A_PACKAGE = [module for module in MODULES if module != "adapters"]


def is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def package(module: str) -> str:
    (found,) = (each for each in MAY_IMPORT if is_in(module, (each,)))
    return found


def ours(module: str) -> set[str]:
    return {name for name in imports(module) if name in MODULES}


@pytest.mark.parametrize("module", OF_A_PACKAGE)
def test_module_imports_only_from_allowed_packages(module: str) -> None:
    own = package(module)
    assert [name for name in ours(module) if not is_in(name, (own, *MAY_IMPORT[own]))] == []


def test_packages_are_declared_from_the_bottom_to_the_top() -> None:
    below: set[str] = set()
    for name, allowed in MAY_IMPORT.items():
        assert {package(each) for each in allowed} <= below, name
        below.add(name)


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter({module: ours(module) - {module} for module in MODULES}).prepare()


@pytest.mark.parametrize("module", [each for each in MODULES if not is_in(each, SDK_USERS)])
def test_only_adapters_import_an_sdk(module: str) -> None:
    assert {name.partition(".")[0] for name in imports(module)} & SDKS == set()


@pytest.mark.parametrize("module", [each for each in MODULES if is_in(each, ("errors", "oauth", "renewal"))])
def test_core_imports_only_standard_library_and_core(module: str) -> None:
    roots = {name.partition(".")[0] for name in imports(module)}
    assert roots - sys.stdlib_module_names <= {"errors", "oauth", "renewal", "rotator"}


@pytest.mark.parametrize("module", [each for each in MODULES if not is_in(each, ENVIRONMENT_USERS)])
def test_only_entry_points_read_the_environment(module: str) -> None:
    assert "os.environ" not in source(module)
    assert "getenv" not in source(module)


def test_package_top_level_has_few_files_and_folders() -> None:
    files = [path for path in ROOT.iterdir() if path.is_file()]
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(files) <= 8
    assert len(folders) <= 13
