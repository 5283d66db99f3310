"""The reference tables are true: settings, defaults, outcomes, metrics, log fields, guarantee."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import embedded_metrics
import guides
from fake_ports import START
from rotator import errors
from rotator.cli import main
from rotator.config import environment as environment_settings
from rotator.config import rotation_documents
from rotator.oauth.models import Stage
from rotator.observability import logs, metrics
from rotator.renewal import durations
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Result, Rotation, Summary

SETTINGS = guides.text("configuration.md")
OBSERVABILITY = guides.text("observability.md")
DESIGN = guides.text("design.md")
ROWS = dict(re.findall(r"^\| `(ROTATOR_[A-Z_]+)` \| (.+?) \|", SETTINGS, re.MULTILINE))


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
    assert all(f"| `{outcome.value}` |" in OBSERVABILITY for outcome in Outcome)


def test_the_metrics_table_has_every_metric_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    rows = re.search(r"\| metric in the namespace `Rotator` \|.+?\n\n", OBSERVABILITY, re.DOTALL)
    assert rows
    named = set(re.findall(r"`([A-Z]\w+)`", rows[0])) - {metrics.NAMESPACE}
    kinds = {name for name in named if hasattr(errors, name)}
    pending = Result(name="a", outcome=Outcome.ROTATED, expires_at=START, secret_stage=Stage.PENDING)
    previous = replace(pending, secret_stage=Stage.PREVIOUS, replicas_behind=("eu-west-1",))
    counts = Counter(TokenRequests=1, TokenRequestAttempts=1, ThrottledWrites=1)
    metrics.record_metrics(
        Summary(results=(pending, previous)), START, service="x", duration=0, counts=counts
    )
    reported, *_ = embedded_metrics.read(capsys.readouterr().out)
    assert kinds
    assert named - kinds == reported.metrics.keys()


def test_guide_names_exactly_the_logged_fields() -> None:
    failed = Result(
        name="a",
        outcome=Outcome.FAILED,
        error="a problem",
        error_kind="RotatorError",
        expires_at=START,
        next_try=START,
        secret_stage=Stage.PREVIOUS,
        replicas_behind=("eu-west-1",),
    )
    log = guides.section(OBSERVABILITY, "Log")
    assert re.findall(r"^\| `(\w+)` \|", log, re.MULTILINE) == list(logs._fields(failed, START))


def test_guide_states_guaranteed_lifetime_of_defaults() -> None:
    least = Guarantee().guaranteed_lifetime(86400, 0.667)
    for document in (DESIGN, guides.README.read_text()):
        assert durations.describe_seconds(least) in guides.words(document)


def test_simulation_prints_guide_output_and_writes_svg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = re.search(r"^\.venv/bin/rotator (simulate .+)$", DESIGN, re.MULTILINE)
    assert command
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(main.main, command[1].split(), env={"COLUMNS": "200"}).stdout
    shown = re.search(r"```text\n(guaranteed remaining lifetime.+?)```", DESIGN, re.DOTALL)
    assert shown
    assert shown[1].splitlines() == [
        line.rstrip() for line in printed.splitlines() if line.rstrip() in shown[1].splitlines()
    ]
    assert (tmp_path / "outage.svg").exists()
