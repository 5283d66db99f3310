"""The direction of imports: entry points -> bootstrap -> adapters -> core, never back."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import rotator

PACKAGE = Path(rotator.__file__).parent
CORE = {
    "circuit_breaker",
    "contract",
    "errors",
    "executor",
    "fleet",
    "jwt",
    "lease",
    "messages",
    "model",
    "naming",
    "oauth",
    "policy",
    "ports",
    "readers",
    "register",
    "results",
    "rollover",
    "rotation",
    "scheduler",
    "settings",
    "status",
    "stored",
    "summary",
    "urgency",
    "usage",
    "work",
    "write_rate",
}
ENTRY = {"handler", "cli", "notes", "report", "screen", "telemetry", "bootstrap", "__main__"}
ADAPTERS = {f"adapters.{path.stem}" for path in (PACKAGE / "adapters").glob("[!_]*.py")}
SIMULATION = {f"simulation.{path.stem}" for path in (PACKAGE / "simulation").glob("[!_]*.py")}
DOCTOR = {f"doctor.{path.stem}" for path in (PACKAGE / "doctor").glob("[!_]*.py")}
COMMANDS = {f"commands.{path.stem}" for path in (PACKAGE / "commands").glob("[!_]*.py")}
COMMAND_LINES = {f"commands.{name}" for name in ("add", "exec", "list", "remove", "status", "token")}
CONSUMER = {f"consumer.{path.stem}" for path in (PACKAGE / "consumer").glob("*.py")}
SHARED = {"errors", "jwt", "adapters.aws"}  # what both sides speak of, and how they call AWS
DOCTORS_COMMAND = {"doctor.command", "doctor.checklist"}
SDKS = {"boto3", "botocore", "requests", "tenacity", "urllib3"}


def imports(module: str) -> set[str]:
    """Everything a module imports, inside functions and for types too; ours without ``rotator.``."""
    source = (PACKAGE / (module.replace(".", "/") + ".py")).read_text()
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            found |= {
                f"{base}.{alias.name}" if base in ("rotator", "rotator.adapters") else base
                for alias in node.names
            }
    return {name.removeprefix("rotator.") for name in found}


def ours(module: str) -> set[str]:
    return imports(module) & (CORE | ENTRY | ADAPTERS)


def foreign(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(module)} - set(sys.stdlib_module_names)


def test_every_module_has_its_place() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert modules == CORE | ENTRY


@pytest.mark.parametrize("module", sorted(CORE))
def test_the_core_imports_the_standard_library_and_itself_only(module: str) -> None:
    assert ours(module) <= CORE
    assert foreign(module) <= CORE | {"__version__"}


@pytest.mark.parametrize("module", sorted(ADAPTERS))
def test_an_adapter_imports_the_core_and_its_sdk_only(module: str) -> None:
    assert ours(module) <= CORE | ADAPTERS
    assert foreign(module) <= SDKS | CORE | {
        "adapters",
        "doctor",
        "mypy_boto3_ssm",
        "mypy_boto3_secretsmanager",
        "__version__",
    }


@pytest.mark.parametrize("module", sorted(SIMULATION))
def test_the_simulation_runs_the_core_and_the_real_retry_layer_and_no_other_adapter(module: str) -> None:
    assert ours(module) <= CORE | {"adapters.token_endpoint", "screen"}
    assert foreign(module) & SDKS == set()


@pytest.mark.parametrize("module", sorted(DOCTOR - DOCTORS_COMMAND))
def test_the_doctor_sees_the_world_through_ports_only(module: str) -> None:
    assert ours(module) <= CORE
    assert foreign(module) <= CORE | {"doctor"}


@pytest.mark.parametrize("module", sorted(CORE | ADAPTERS | ENTRY - {"cli"}))
def test_only_the_command_line_knows_the_doctor_and_his_inspector_no_more_than_the_port(module: str) -> None:
    doctors = {name for name in imports(module) if name.startswith("doctor")}
    assert doctors <= ({"doctor.inspection"} if module == "adapters.inspector" else set())


@pytest.mark.parametrize("module", sorted(CONSUMER))
def test_the_reading_side_imports_nothing_of_the_rotating_one(module: str) -> None:
    of_ours = {name for name in imports(module) if (PACKAGE / (name.replace(".", "/") + ".py")).exists()}
    assert of_ours - CONSUMER <= SHARED


@pytest.mark.parametrize("module", sorted(CONSUMER - {"consumer.ssm", "consumer.requests_auth"}))
def test_of_the_reading_side_only_its_ends_import_an_sdk(module: str) -> None:
    assert foreign(module) & SDKS == set()


@pytest.mark.parametrize("module", sorted(CORE | ADAPTERS | SIMULATION | DOCTOR | {"handler", "bootstrap"}))
def test_the_rotating_side_does_not_know_the_reading_one(module: str) -> None:
    assert not any(name.startswith("consumer") for name in imports(module))


@pytest.mark.parametrize("module", sorted(COMMANDS))
def test_the_commands_import_no_adapter_and_no_sdk(module: str) -> None:
    assert ours(module) <= CORE | {"bootstrap", "report", "screen", "telemetry"}
    assert foreign(module) & SDKS == set()


@pytest.mark.parametrize("module", sorted(CORE | ADAPTERS | CONSUMER | DOCTOR | ENTRY - {"cli"}))
def test_only_the_command_line_knows_those_commands(module: str) -> None:
    assert not any(name.startswith("commands") for name in imports(module))


@pytest.mark.parametrize("module", sorted(CORE | ADAPTERS | ENTRY - {"cli"}))
def test_only_the_command_line_knows_the_simulation(module: str) -> None:
    assert not any(name.startswith("simulation") for name in imports(module))


@pytest.mark.parametrize("module", sorted(CORE | ENTRY))
def test_only_adapters_import_an_sdk(module: str) -> None:
    assert foreign(module) & SDKS == set()


@pytest.mark.parametrize("module", sorted(CORE | ADAPTERS | {"bootstrap"}))
def test_nothing_imports_an_entry_point(module: str) -> None:
    assert ours(module) & (ENTRY - {"bootstrap", "telemetry"}) == set()


@pytest.mark.parametrize("module", sorted(CORE | ADAPTERS | ENTRY - {"cli"}))
def test_only_the_command_line_knows_the_embedded_world(module: str) -> None:
    assert not any(name.startswith("local") for name in imports(module))


@pytest.mark.parametrize(
    "module",
    sorted(CORE | ADAPTERS | COMMANDS - COMMAND_LINES | {"bootstrap", "telemetry", "report"}),
)
def test_the_environment_is_handed_over_by_the_entry_points(module: str) -> None:
    source = (PACKAGE / (module.replace(".", "/") + ".py")).read_text()
    assert "os.environ" not in source
    assert "getenv" not in source
