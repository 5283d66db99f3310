"""The README tells the truth: settings, defaults, commands and what the demo prints."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import embedded_metrics
from conftest import CHECKOUT
from fake_ports import START
from infra import deploy_request
from rotator import errors
from rotator.cli import main
from rotator.config import environment as environment_settings
from rotator.config import rotation_documents
from rotator.oauth.models import Stage
from rotator.observability import logs, metrics
from rotator.observability.counters import Counts
from rotator.renewal import durations
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Result, Rotation, Summary

README = (CHECKOUT / "README.md").read_text()
MAKEFILE = (CHECKOUT / "Makefile").read_text()
SOURCES = {name: (CHECKOUT / name).read_text() for name in ("README.md", ".github/CONTRIBUTING.md")}
ROWS = dict(re.findall(r"^\| `(ROTATOR_[A-Z_]+)` \| (.+?) \|", README, re.MULTILINE))


def test_the_settings_table_has_every_setting_and_no_other() -> None:
    known = rotation_documents.ROTATION_SETTINGS.keys() | environment_settings._RUN_SETTINGS.keys()
    assert {name.removeprefix("ROTATOR_").lower() for name in ROWS} == known


DEFAULTS = {
    **Rotation(name="default", secret_id="required", parameter_name="required").__dict__,
    "token_request_params": "{}",
    "client_id_in_body": "false",
    "kms_key_id": "alias/aws/ssm",
    "secret_rollover": "true",
}


@pytest.mark.parametrize("key", sorted(DEFAULTS))
def test_setting_default_equals_settings_table(key: str) -> None:
    shown = ROWS[f"ROTATOR_{key.upper()}"].strip("`")
    assert shown == str(DEFAULTS[key] or "none")


def test_the_outcomes_table_has_every_outcome() -> None:
    assert all(f"| `{outcome.value}` |" in README for outcome in Outcome)


def test_the_metrics_table_has_every_metric_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    rows = re.search(r"\| metric in the namespace `Rotator` \|.+?\n\n", README, re.DOTALL)
    assert rows
    named = set(re.findall(r"`([A-Z]\w+)`", rows[0])) - {metrics.NAMESPACE}
    kinds = {name for name in named if hasattr(errors, name)}
    alive = Result(name="a", outcome=Outcome.ROTATED, expires_at=START, secret_stage=Stage.PENDING)
    previous = replace(alive, secret_stage=Stage.PREVIOUS)
    counts = Counts(token_requests=1, token_request_attempts=1, throttled_writes=1)
    metrics.record_metrics(Summary(results=(alive, previous)), START, service="x", duration=0, counts=counts)
    reported, *_ = embedded_metrics.read(capsys.readouterr().out)
    assert kinds
    assert named - kinds == reported.metrics.keys()


def test_readme_names_exactly_the_logged_fields() -> None:
    failed = Result(
        name="a",
        outcome=Outcome.FAILED,
        error="a problem",
        error_kind="RotatorError",
        expires_at=START,
        next_try=START,
        secret_stage=Stage.PREVIOUS,
    )
    named = re.search(r"one line an outcome, with (.+?), as far as", README, re.DOTALL)
    assert named
    shown = re.sub(r" \(`outcome`\)", "", named[1])
    assert re.findall(r"`(\w+)`", shown) == list(logs._fields(failed, START))


def test_readme_states_guaranteed_lifetime_of_defaults() -> None:
    least = Guarantee().guaranteed_lifetime(86400, 0.667)
    assert durations.describe_seconds(least) in README


@pytest.mark.parametrize("source", SOURCES)
def test_every_make_target_that_is_named_exists(source: str) -> None:
    named = set(re.findall(r"\bmake ([a-z]+)\b(?! it)", SOURCES[source]))
    assert named
    assert named <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_deployment_parameters_exist_in_template() -> None:
    template = (CHECKOUT / "infra" / "template.yaml").read_text()
    settings = re.findall(r'SET="(.+?)"', README)
    assert settings
    for name in re.findall(r"(\w+)=", " ".join(settings)):
        assert f"\n  {name}:\n" in template


GIVEN_BEFORE = {"SECRET": "healthwise/client", "PARAMETER": "/healthwise/token", "BUCKET": "my-bucket"}
"""What "..." stands for in a deployment that is shown."""


@pytest.mark.parametrize("document", ["README.md", "infra/README.md"])
def test_shown_make_deploy_lines_are_complete_requests(document: str) -> None:
    template = (CHECKOUT / "infra" / "template.yaml").read_text()
    shown = re.findall(r"^make deploy (.+)$", (CHECKOUT / document).read_text(), re.MULTILINE)
    assert shown
    for line in shown:
        variables = dict(word.split("=", 1) for word in shlex.split(line))
        variables |= {name: GIVEN_BEFORE[name] for name, value in variables.items() if value == "..."}
        assert variables.keys() <= {"STACK", "SECRET", "PARAMETER", "BUCKET", "SET", "TAGS"}
        assert deploy_request.read(variables, template).stack == "rotator"


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"^rotator ([a-z]+(?: --[a-z-]+)*)", README, re.MULTILINE)))
)
def test_every_command_and_option_that_is_named_exists(command: str) -> None:
    name, *options = command.split()
    help_text = CliRunner().invoke(main.main, [name, "--help"]).output
    assert all(option in help_text for option in options)


def test_readme_demo_steps_equal_printed_steps() -> None:
    demo = (CHECKOUT / "rotator" / "devstack" / "demo.py").read_text()
    steps = re.findall(r"^✓ (.+) \(\d", README, re.MULTILINE)
    assert steps == re.findall(r'self\.step\("(.+?)"\)', demo)


def test_simulation_prints_readme_output_and_writes_svg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = re.search(r"^\.venv/bin/rotator (simulate .+)$", README, re.MULTILINE)
    assert command
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(main.main, command[1].split(), env={"COLUMNS": "200"}).stdout
    shown = re.search(r"```text\n(guaranteed remaining lifetime.+?)```", README, re.DOTALL)
    assert shown
    assert shown[1].splitlines() == [
        line.rstrip() for line in printed.splitlines() if line.rstrip() in shown[1].splitlines()
    ]
    assert (tmp_path / "outage.svg").exists()


def test_relative_links_point_to_existing_files() -> None:
    for source, text in SOURCES.items():
        for link in re.findall(r"\]\(([^):#]+)\)", text):
            assert (CHECKOUT / source).parent.joinpath(link).exists(), link
