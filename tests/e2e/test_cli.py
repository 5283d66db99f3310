"""The command line as a process, against moto's server and the embedded Authorization API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from command_line import Shell
from fake_ports import CANARY_SECRET
from misbehaving_api import MisbehavingApi
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving

API = MisbehavingApi({"client": CANARY_SECRET})


@pytest.fixture(scope="module")
def api_address() -> Iterator[str]:
    with serving(API.app) as address:
        yield address


@pytest.fixture
def shell(moto: Account, api_address: str, clean_environment: Mapping[str, str]) -> Shell:
    API.misbehaviour.plan(revokes_older_tokens=False)
    moto.create_secret("healthwise/client", "client", CANARY_SECRET)
    settings = {
        "ROTATOR_SECRET_ID": "healthwise/client",
        "ROTATOR_PARAMETER_NAME": "/healthwise/token",
        "ROTATOR_TOKEN_ENDPOINT": f"{api_address}/oauth2/token",
        "COLUMNS": "200",
    }
    return Shell({**clean_environment, **client_environment(moto.endpoint), **settings}, moto)


def test_rotate_stores_a_token_that_opens_the_api(shell: Shell, api_address: str) -> None:
    done = shell.run("rotate", ROTATOR_VERIFY_URL=f"{api_address}/topics")
    assert (done.returncode, done.stderr) == (0, "")
    assert "rotated" in done.stdout
    assert shell.parameter("/healthwise/token")["Type"] == "SecureString"
    assert shell.parameter("/healthwise/token/status")["Type"] == "String"


def test_second_rotate_is_fresh_and_force_renews(shell: Shell) -> None:
    outcomes = [json.loads(shell.run("rotate", "--json", *more).stdout) for more in ((), (), ("--force",))]
    assert [(o["rotated"], o["fresh"]) for o in outcomes] == [(1, 0), (0, 1), (1, 0)]
    assert outcomes[2]["rotations"][0]["parameter_version"] == 2


def test_dry_run_lists_changes_and_writes_nothing(shell: Shell) -> None:
    assert "would be rotated" in shell.run("rotate", "--dry-run").stdout
    assert shell.run("status").returncode == 1


def test_status_shows_state_times_and_guaranteed_lifetime(shell: Shell) -> None:
    shell.run("rotate")
    line = json.loads(shell.run("status", "--json").stdout)["rotations"][0]
    assert (line["state"], line["parameter_version"], line["error"]) == ("fresh", 1, None)
    assert 86000 < line["seconds_remaining"] <= 86400
    assert line["minimum_remaining_life"] == 28411
    table = shell.run("status")
    assert (table.returncode, table.stderr) == (0, "")
    assert "fresh" in table.stdout
    assert "7 h 53 min" in table.stdout


def test_status_without_a_token_is_missing_and_exits_1(shell: Shell) -> None:
    done = shell.run("status")
    assert done.returncode == 1
    assert "missing" in done.stdout
    assert "run `rotator rotate`" in done.stdout


def test_multiple_rotations_are_read_from_documents(shell: Shell) -> None:
    ssm = shell.account.client("ssm")
    endpoint = shell.environment["ROTATOR_TOKEN_ENDPOINT"]
    for name in "abc":
        document = {
            "secret_id": "healthwise/client",
            "parameter_name": f"/{name}/token",
            "token_endpoint": endpoint,
        }
        ssm.put_parameter(Name=f"/rotations/{name}", Value=json.dumps(document), Type="String")
    ssm.put_parameter(Name="/rotations/broken", Value="{", Type="String")
    multiple = {
        "ROTATOR_ROTATIONS_PATH": "/rotations",
        "ROTATOR_SECRET_ID": "",
        "ROTATOR_PARAMETER_NAME": "",
        "ROTATOR_TOKEN_ENDPOINT": "",
    }
    done = shell.run("rotate", "--json", **multiple)
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["rotated"], summary["failed"]) == (1, 3, 1)
    assert shell.run("rotate", "a", "b", **multiple).returncode == 0
    assert shell.run("rotate", "z", **multiple).returncode == 2
    assert "unreadable" in shell.run("status", **multiple).stdout


def spoil_secret(text: str | None = None, binary: bytes | None = None) -> Any:
    def spoil(account: Account) -> None:
        client = account.client("secretsmanager")
        given = {"SecretBinary": binary} if binary else {"SecretString": text}
        client.put_secret_value(SecretId="healthwise/client", **given)

    return spoil


def twice(spoil: Any) -> Any:
    def spoil_the_one_before_too(account: Account) -> None:
        spoil(account)
        spoil(account)

    return spoil_the_one_before_too


WRONG = '{"client_id": "client", "client_secret": "canary"}'


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        pytest.param(
            lambda a: a.client("secretsmanager").delete_secret(
                SecretId="healthwise/client", ForceDeleteWithoutRecovery=True
            ),
            "ResourceNotFoundException; create the secret",
            id="secret missing",
        ),
        pytest.param(spoil_secret(binary=b"canary"), "is binary", id="secret binary"),
        pytest.param(spoil_secret("canary"), "is not JSON", id="secret not JSON"),
        pytest.param(
            spoil_secret('{"client_id": "client"}'), "has no client_secret", id="secret without client_secret"
        ),
        pytest.param(
            spoil_secret('{"client_id": "", "client_secret": "canary"}'),
            "empty client_id",
            id="secret with empty id",
        ),
        pytest.param(
            spoil_secret('{"client_id": "client", "client_secret": "canary\\n"}'),
            "a newline at its end",
            id="secret with newline",
        ),
        pytest.param(twice(spoil_secret(WRONG)), "invalid_client", id="wrong secret, and the one before"),
    ],
)
def test_bad_secret_is_reported_without_showing_it(spoil: Any, problem: str, shell: Shell) -> None:
    spoil(shell.account)
    done = shell.run("rotate")
    assert done.returncode == 1
    assert problem in done.stdout
    assert "canary" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_secret_falls_back_to_the_previous_with_a_warning(shell: Shell) -> None:
    spoil_secret(WRONG)(shell.account)
    done = shell.run("rotate")
    assert (done.returncode, "rotated" in done.stdout) == (0, True)
    assert "warning: rotation default: the token endpoint refused the client" in done.stdout
    assert "default: its token was requested with AWSPREVIOUS: finish the rollover;" in (
        shell.run("status").stdout
    )
    (reported,) = json.loads(shell.run("status", "--json").stdout)["rotations"]
    assert reported["secret_stage"] == "AWSPREVIOUS"
    assert "canary" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("args", "changes", "code", "problem"),
    [
        pytest.param(["rotate"], {"ROTATOR_RENEW_AT": "2"}, 2, "ROTATOR_RENEW_AT is", id="bad setting"),
        pytest.param(
            ["rotate"],
            {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""},
            2,
            "set AWS_DEFAULT_REGION",
            id="no Region",
        ),
        pytest.param(["rotate"], {"AWS_PROFILE": "missing"}, 2, "AWS_PROFILE names", id="no such profile"),
        pytest.param(
            ["rotate"], {"AWS_ENDPOINT_URL": "nowhere"}, 2, "AWS_ENDPOINT_URL", id="bad endpoint of AWS"
        ),
        pytest.param(
            ["rotate"],
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            1,
            "set AWS credentials",
            id="no credentials",
        ),
        pytest.param(["rotate", "other"], {}, 2, "no rotation named 'other'", id="unknown rotation"),
        pytest.param(["rotate", "--fast"], {}, 2, "No such option", id="unknown option"),
        pytest.param(["rotates"], {}, 2, "No such command", id="unknown command"),
        pytest.param(
            ["status"],
            {
                "ROTATOR_SECRET_ID": "",
                "ROTATOR_ROTATIONS_PATH": "/x",
                "ROTATOR_PARAMETER_NAME": "",
                "ROTATOR_TOKEN_ENDPOINT": "",
            },
            2,
            "no rotation under /x",
            id="no documents",
        ),
        pytest.param(
            ["rotate"],
            {"ROTATOR_TOKEN_REQUEST_PARAMS": '{"expiration": "900"}'},
            2,
            "consumers have no guaranteed remaining lifetime",
            id="short overlap",
        ),
        pytest.param(
            ["rotate"],
            {"ROTATOR_TOKEN_ENDPOINT": "http://127.0.0.1:1/x", "ROTATOR_ALLOWED_HOSTS": "a.test"},
            2,
            "ROTATOR_ALLOWED_HOSTS",
            id="host not allowed",
        ),
    ],
)
def test_user_error_is_reported_with_its_exit_code(
    args: list[str], changes: dict[str, str], code: int, problem: str, shell: Shell
) -> None:
    done = shell.run(*args, **changes)
    assert done.returncode == code
    assert problem in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_missing_configuration_names_a_setting_and_the_demo(
    clean_environment: Mapping[str, str], moto: Account
) -> None:
    done = Shell(dict(clean_environment), moto).run("rotate", "--force")
    assert done.returncode == 2
    assert done.stderr.startswith("rotator: ROTATOR_SECRET_ID is not set")
    assert "`make demo`" in done.stderr


def test_refusal_keeps_the_stored_token_and_next_run_recovers(shell: Shell) -> None:
    shell.run("rotate")
    before = shell.parameter("/healthwise/token")["Value"]
    API.misbehaviour.plan({"status": 400, "body": '{"error": "invalid_scope"}'}, {"body": "<html>"})
    assert "invalid_scope" in shell.run("rotate", "--force").stdout
    assert "JSON object" in shell.run("rotate", "--force").stdout
    assert shell.parameter("/healthwise/token")["Value"] == before
    assert shell.run("rotate", "--force").returncode == 0


def test_an_endpoint_that_recovers_is_tried_again_within_the_run(shell: Shell) -> None:
    API.misbehaviour.plan({"status": 503}, {"status": 429, "headers": {"Retry-After": "1"}})
    assert shell.run("rotate").returncode == 0


def test_stored_token_is_valid_when_older_ones_are_revoked(shell: Shell, api_address: str) -> None:
    API.misbehaviour.plan(revokes_older_tokens=True)
    verified = {"ROTATOR_VERIFY_URL": f"{api_address}/topics"}
    assert shell.run("rotate", **verified).returncode == 0
    assert shell.run("rotate", "--force", **verified).returncode == 0


def test_neither_secret_nor_token_is_printed_at_any_level(shell: Shell) -> None:
    printed = ""
    for args in (["rotate"], ["rotate", "--force", "--json"], ["status"], ["status", "--json"]):
        done = shell.run(*args, ROTATOR_LOG_LEVEL="DEBUG")
        printed += done.stdout + done.stderr
    assert CANARY_SECRET not in printed
    assert shell.parameter("/healthwise/token")["Value"] not in printed


@pytest.mark.parametrize("encoding", ["raw", "form"])
def test_special_characters_in_secret_work_in_both_encodings(encoding: str, shell: Shell) -> None:
    secret = "+/=:%é and more"
    shell.account.create_secret("odd", "client", secret)
    with serving(MisbehavingApi({"client": secret}, basic_encoding=encoding).app) as address:
        settings = {"ROTATOR_SECRET_ID": "odd", "ROTATOR_TOKEN_ENDPOINT": f"{address}/oauth2/token"}
        wrong = "form" if encoding == "raw" else "raw"
        failed = shell.run("rotate", ROTATOR_BASIC_ENCODING=wrong, **settings)
        assert failed.returncode == 1
        assert "basic_encoding" in failed.stdout
        assert shell.run("rotate", ROTATOR_BASIC_ENCODING=encoding, **settings).returncode == 0


def test_client_secret_post_works(shell: Shell) -> None:
    assert shell.run("rotate", ROTATOR_CLIENT_AUTHENTICATION="client_secret_post").returncode == 0
