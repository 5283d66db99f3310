"""Settings: read, checked, and refused with an error that helps."""

from __future__ import annotations

import pytest

from rotation_settings import REQUIRED, read, refused
from rotator.config import environment, rotation_documents
from rotator.errors import SettingsError
from rotator.oauth.models import BasicEncoding, ClientAuthentication, TokenRequestFormat
from rotator.renewal.models import Rotation


def test_every_key_of_a_rotation_has_a_reader() -> None:
    assert rotation_documents.ROTATION_SETTINGS.keys() == Rotation.__dataclass_fields__.keys()


def test_default_settings_have_expected_values() -> None:
    found = read()
    assert found.rotation == Rotation(
        name="default",
        secret_id="healthwise/client",
        parameter_name="/healthwise/token",
        token_endpoint="https://auth.healthwise.net/oauth2/token",
        scope="*",
        token_request_params={},
        client_authentication=ClientAuthentication.BASIC,
        basic_encoding=BasicEncoding.RAW,
        renew_at=0.667,
        fallback_lifetime=None,
        kms_key_id=None,
        tier="Intelligent-Tiering",
        verify_url=None,
        secret_rollover=True,
    )
    assert (found.schedule_interval, found.consumer_cache, found.log_level) == (300, 300, "INFO")
    assert (found.writes_per_second, found.token_lifetime) == (2, 86_400)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read(verify_url="", renew_at="", tier="") == read()


def test_empty_scope_variable_is_kept_empty() -> None:
    found = read(scope="")
    assert found.rotation
    assert found.rotation.scope == ""


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("renew_at", "0.1", 0.1),
        ("renew_at", "0.95", 0.95),
        ("fallback_lifetime", "3600", 3600),
        ("fallback_lifetime", "24h", 86400),
        ("tier", "Standard", "Standard"),
        ("basic_encoding", "form", BasicEncoding.FORM),
        ("client_authentication", "client_secret_post", ClientAuthentication.POST),
        ("token_request_params", '{"expiration": "86400"}', {"expiration": "86400"}),
        ("token_request_params", '{"expiration": 86400}', {"expiration": "86400"}),
        ("token_request_params", '{"expiration": true}', {"expiration": "true"}),
        ("token_request_params", '{"a": ["x", 1, false, 0.5]}', {"a": ("x", "1", "false", "0.5")}),
        ("token_request_headers", '{"X-Tenant": 5}', {"X-Tenant": "5"}),
        ("secret_headers", '{"X-API-Key": "outer.api_key"}', {"X-API-Key": "outer.api_key"}),
        ("secret_params", '{"password": "p"}', {"password": "p"}),
        (
            "secret_members",
            '{"client_secret": "oauth.clientSecret"}',
            {"client_secret": "oauth.clientSecret"},
        ),
        ("response_members", '{"access_token": "token"}', {"access_token": "token"}),
        ("accepted_token_types", "session, urn:x", ("session", "urn:x")),
        ("grant_type", "account_credentials", "account_credentials"),
        ("token_request_format", "json", TokenRequestFormat.JSON),
        ("client_id_in_body", "true", True),
        ("lifetime", "1h", 3600),
        ("kms_key_id", "alias/tokens", "alias/tokens"),
        (
            "kms_key_id",
            "arn:aws:kms:eu-west-1:123456789012:key/1-2",
            "arn:aws:kms:eu-west-1:123456789012:key/1-2",
        ),
        ("verify_url", "https://content.example.test/topics", "https://content.example.test/topics"),
        ("token_endpoint", "http://127.0.0.1:8080/token", "http://127.0.0.1:8080/token"),
        ("token_endpoint", "http://[::1]:8080/token", "http://[::1]:8080/token"),
        ("token_endpoint", "http://localhost/token", "http://localhost/token"),
        (
            "secret_id",
            "arn:aws:secretsmanager:us-east-1:1:secret:a/b-AbCdEf",
            "arn:aws:secretsmanager:us-east-1:1:secret:a/b-AbCdEf",
        ),
        ("scope", "a.b c", "a.b c"),
        ("name", "tenant-a", "tenant-a"),
        ("secret_rollover", "true", True),
        ("secret_rollover", "false", False),
        ("ca_parameter_name", "/healthwise/authorities", "/healthwise/authorities"),
    ],
)
def test_a_legal_value_is_read(key: str, text: str, value: object) -> None:
    assert getattr(read(**{key: text}).rotation, key) == value


@pytest.mark.parametrize(
    ("key", "text", "seconds"),
    [
        ("schedule_interval", "5m", 300),
        ("schedule_interval", "60", 60),
        ("consumer_cache", "0", 0),
        ("consumer_cache", "1h", 3600),
        ("writes_per_second", "0.5", 0.5),
        ("writes_per_second", "10000", 10_000),
    ],
)
def test_a_duration_is_seconds_or_has_a_unit(key: str, text: str, seconds: int) -> None:
    assert getattr(read(**{key: text}), key) == seconds


@pytest.mark.parametrize(
    ("key", "text", "takes"),
    [
        ("renew_at", "0.05", "from 0.1 to 0.95"),
        ("renew_at", "1", "from 0.1 to 0.95"),
        ("renew_at", "nan", "from 0.1 to 0.95"),
        ("renew_at", "two thirds", "from 0.1 to 0.95"),
        ("fallback_lifetime", "0", "whole number of seconds"),
        ("fallback_lifetime", "1.5", "whole number of seconds"),
        ("fallback_lifetime", "m", "whole number of seconds"),
        ("fallback_lifetime", "infh", "whole number of seconds"),
        ("schedule_interval", "59", "from 60"),
        ("schedule_interval", "5 minutes", "whole number of seconds"),
        ("consumer_cache", "-1", "from 0"),
        ("writes_per_second", "0", "a number from 0.1 to 10000"),
        ("writes_per_second", "nan", "a number from 0.1 to 10000"),
        ("tier", "standard", "one of Standard, Advanced"),
        ("basic_encoding", "utf-8", "one of raw, form"),
        ("client_authentication", "tls_client_auth", "one of client_secret_basic"),
        ("secret_rollover", "no", "one of true, false"),
        ("secret_rollover", "0", "one of true, false"),
        ("log_level", "LOUD", "one of DEBUG"),
        ("token_endpoint", "http://auth.example.test/token", "https"),
        ("token_endpoint", "http://127.0.0.1.example.test/token", "https"),
        ("token_endpoint", "ftp://auth.example.test/token", "https"),
        ("token_endpoint", "auth.example.test", "https"),
        ("token_endpoint", "https://", "https"),
        ("token_endpoint", "https://auth.example.test\\.evil.test/", "https"),
        ("token_endpoint", "http://localhost.evil.test/", "https"),
        ("token_endpoint", "http://localhost%2eevil.test/", "https"),
        ("token_endpoint", "https://auth.example.test:99999/", "https"),
        ("token_endpoint", "https://auth.example.test/#x", "https"),
        ("token_endpoint", "https://auth.example.test/a b", "https"),
        ("token_endpoint", "https://[::1", "https"),
        ("verify_url", "http://content.example.test/", "https"),
        ("scope", " two  spaces", "RFC 6749"),
        ("scope", 'quo"ted', "RFC 6749"),
        ("token_request_params", "expiration=86400", "JSON object"),
        ("token_request_params", "[]", "JSON object"),
        ("token_request_params", '{"expiration": null}', "JSON object"),
        ("token_request_params", '{"expiration": {"s": 1}}', "JSON object"),
        ("grant_type", "two words", "the name or URL of a grant"),
        ("token_request_format", "xml", "one of form, json"),
        ("client_id_in_body", "yes", "one of true, false"),
        ("lifetime", "59", "whole number of seconds"),
        ("token_lifetime", "a day", "whole number of seconds"),
        ("accepted_token_types", "a b", "token types"),
        ("accepted_token_types", "a,", "token types"),
        ("accepted_token_types", "session, dpop", "except DPoP, N_A, PoP, mac"),
        (
            "token_request_params",
            '{"grant_type": "password"}',
            "except client_assertion, client_assertion_type, client_id",
        ),
        ("parameter_name", "token", 'begins with "/"'),
        ("parameter_name", "/token/", 'begins with "/"'),
        ("parameter_name", "//token", 'begins with "/"'),
        ("parameter_name", "/to ken", 'begins with "/"'),
        ("parameter_name", "/aws/token", "/aws"),
        ("parameter_name", "/SSM-token", "/ssm"),
        ("parameter_name", "/a" * 15, "14 levels"),
        ("parameter_name", "/" + "a" * 940, "940 characters"),
        ("parameter_name", "arn:aws:ssm:us-east-1:1:parameter/x", 'begins with "/"'),
        ("kms_key_id", "my key", "alias/NAME"),
        ("signing_key_id", "my key", "alias/NAME"),
        ("signing_algorithm", "none", "one of RS256"),
        ("signing_algorithm", "es256", "one of RS256"),
        ("key_id", "two words", "without spaces"),
        ("key_id", "x" * 257, "1 to 256"),
        ("assertion_audience", "the provider", "the URL of the provider's token endpoint or issuer"),
        ("assertion_audience", "auth.example.test", "the URL of the provider's token endpoint or issuer"),
        ("assertion_audience", "urn:example:issuer", "the URL of the provider's token endpoint or issuer"),
        ("assertion_audience", "https://", "the URL of the provider's token endpoint or issuer"),
        ("assertion_audience", "https://[::1", "the URL of the provider's token endpoint or issuer"),
        (
            "assertion_audience",
            "https://auth.example.test:99999/",
            "the URL of the provider's token endpoint or issuer",
        ),
        (
            "assertion_audience",
            "https://auth.example.test/#x",
            "the URL of the provider's token endpoint or issuer",
        ),
        (
            "assertion_audience",
            "https://auth.example.test/\nx",
            "the URL of the provider's token endpoint or issuer",
        ),
        ("ca_parameter_name", "authorities", 'begins with "/"'),
        ("ca_parameter_name", "-----BEGIN CERTIFICATE-----", 'begins with "/"'),
        ("token_request_params", '{"client_assertion": "x"}', "except client_assertion"),
        ("name", "a/b", "letters, digits"),
        ("name", "x" * 65, "1 to 64"),
        ("allowed_hosts", "https://auth.example.test", "host names"),
        ("allowed_hosts", ",", "host names"),
    ],
)
def test_invalid_value_error_names_setting_and_accepted_values(key: str, text: str, takes: str) -> None:
    message = refused(**{key: text})
    assert message.startswith(f"ROTATOR_{key.upper()} is ")
    assert takes in message


@pytest.mark.parametrize("text", ["0.05", "two thirds"])
def test_error_quotes_the_invalid_value(text: str) -> None:
    assert f'"{text}"' in refused(renew_at=text)


def test_a_long_value_is_not_quoted_in_full() -> None:
    assert len(refused(renew_at="9" * 10_000)) < 250


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("secret_id", '{"client_id": "a", "client_secret": "canary"}'),
        ("token_request_params", '{"client_secret": "canary"}'),
        ("token_request_params", "canary"),
        ("token_endpoint", "https://user:canary@auth.example.test/token"),
        ("verify_url", "https://user:canary@auth.example.test/token"),
        ("verify_url", "http://auth.example.test/me?key=canary"),
    ],
    ids=["secret_id", "params", "params not JSON", "token_endpoint", "verify_url", "query"],
)
def test_possible_secret_is_described_but_not_quoted(key: str, text: str) -> None:
    message = refused(**{key: text})
    assert "canary" not in message
    assert "characters" in message


@pytest.mark.parametrize("key", ["secret_id", "parameter_name"])
def test_a_missing_required_setting_is_named(key: str) -> None:
    message = refused(**{key: ""})
    assert message.startswith(f"ROTATOR_{key.upper()} is not set; set it to")


def test_with_nothing_set_the_first_missing_setting_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^ROTATOR_SECRET_ID is not set"):
        environment.read_environment({})


def test_a_misspelt_variable_is_refused_with_the_right_spelling() -> None:
    assert refused(renew_a="0.5") == "ROTATOR_RENEW_A is not a setting; did you mean ROTATOR_RENEW_AT?"


def test_unrelated_rotator_variable_is_ignored() -> None:
    """Until it is set: then its owner believes that it does something."""
    said = refused(of_cuffs="gold")
    assert said.startswith(
        "ROTATOR_OF_CUFFS is not a setting; valid names are: ROTATOR_ACCEPTED_TOKEN_TYPES, "
    )
    assert read(of_cuffs="") == read()


@pytest.mark.parametrize(
    ("unknown", "known"),
    [
        ("token_url", "token_endpoint"),
        ("token_uri", "token_endpoint"),
        ("tokenendpoint", "token_endpoint"),
        ("secret_arn", "secret_id"),
        ("client_secret", "secret_id"),
        ("scopes", "scope"),
        ("audience", "token_request_params"),
        ("fallback", "fallback_lifetime"),
    ],
)
def test_unknown_variable_is_refused_with_the_nearest_setting(unknown: str, known: str) -> None:
    reported = f"ROTATOR_{unknown.upper()} is not a setting; did you mean ROTATOR_{known.upper()}?"
    assert refused(**{unknown: "canary"}) == reported


@pytest.mark.parametrize(
    "name", ["ROTATOR_Token_Endpoint", "rotator_token_endpoint", "Rotator_TOKEN_ENDPOINT"]
)
def test_variable_in_another_case_is_refused(name: str) -> None:
    other = {
        **REQUIRED,
        "ROTATOR_TOKEN_ENDPOINT": "https://a.example.test/t",
        name: "https://b.example.test/t",
    }
    with pytest.raises(SettingsError) as caught:
        environment.read_environment(other)
    assert str(caught.value) == f"{name} is not a setting; did you mean ROTATOR_TOKEN_ENDPOINT?"


@pytest.mark.parametrize(("text", "seconds"), [("24h", 86_400), ("30m", 1800), ("other", None)])
def test_token_lifetime_is_a_time_or_other(text: str, seconds: int | None) -> None:
    assert read(token_lifetime=text).token_lifetime == seconds


@pytest.mark.parametrize("key", ["token_endpoint", "verify_url"])
def test_a_host_that_is_not_allowed_is_refused(key: str) -> None:
    hosts = {"allowed_hosts": "auth.healthwise.net, Content.example.test"}
    message = refused(**hosts, **{key: "https://evil.example.test/x"})
    assert message.startswith(f"ROTATOR_{key.upper()} names the host evil.example.test")
    assert read(**hosts, **{key: "https://content.example.test:8443/x"}).rotation


def test_rotations_path_excludes_rotation_in_environment() -> None:
    assert "both set" in refused(rotations_path="/rotations")


def test_with_a_path_no_rotation_is_read_from_the_environment() -> None:
    found = environment.read_environment({"ROTATOR_ROTATIONS_PATH": "/rotations/"})
    assert (found.rotation, found.rotations_path) == (None, "/rotations")


def test_kms_key_with_rotations_path_is_the_documents_default() -> None:
    environ = {"ROTATOR_ROTATIONS_PATH": "/rotations", "ROTATOR_KMS_KEY_ID": "alias/all"}
    found = environment.read_environment(environ)
    assert (found.rotation, found.kms_key_id) == (None, "alias/all")
    with pytest.raises(SettingsError, match="ROTATOR_KMS_KEY_ID is"):
        environment.read_environment({**environ, "ROTATOR_KMS_KEY_ID": "my key"})


FIVE_REGIONS = ("eu-west-1", "us-east-1", "us-west-2", "eu-north-1", "sa-east-1")


@pytest.mark.parametrize(
    ("given", "regions"),
    [
        ("", ()),
        ("eu-west-1", ("eu-west-1",)),
        ("us-gov-east-1, us-gov-west-1", ("us-gov-east-1", "us-gov-west-1")),
        (",".join(FIVE_REGIONS), FIVE_REGIONS),
        ("us-east-1,eu-west-1,us-east-1", ("us-east-1", "eu-west-1")),
    ],
)
def test_replica_regions_are_read_in_order(given: str, regions: tuple[str, ...]) -> None:
    assert read(replica_regions=given).replica_regions == regions


@pytest.mark.parametrize(
    "given",
    [
        "Ireland",
        "eu-west-1,",
        "eu-west-1;us-east-1",
        "eu-west-1,us-east-1,us-west-2,eu-north-1,sa-east-1,ap-south-1",
        "eu-west-1a",
    ],
)
def test_unusable_replica_regions_are_refused_in_one_line(given: str) -> None:
    message = refused(replica_regions=given)
    assert message.startswith("ROTATOR_REPLICA_REGIONS is")
    assert "at most 5 Regions, separated by commas, such as eu-west-1,us-east-1" in message
    assert "\n" not in message


QUEUE = {
    "ROTATOR_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/work",
    "ROTATOR_WORKERS": "4",
}


def test_worker_settings_are_read_or_default_to_single_worker() -> None:
    found = environment.read_environment({"ROTATOR_ROTATIONS_PATH": "/rotations", **QUEUE})
    assert (found.queue_url, found.workers) == (QUEUE["ROTATOR_QUEUE_URL"], 4)
    alone = environment.read_environment({"ROTATOR_ROTATIONS_PATH": "/rotations"})
    assert (alone.queue_url, alone.workers) == (None, 1)


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({**QUEUE, "ROTATOR_WORKERS": ""}, "only one of ROTATOR_QUEUE_URL and ROTATOR_WORKERS is set"),
        ({**QUEUE, "ROTATOR_QUEUE_URL": ""}, "only one of ROTATOR_QUEUE_URL and ROTATOR_WORKERS is set"),
        ({**QUEUE, "ROTATOR_WORKERS": "1"}, "from 2 to 1000"),
        ({**QUEUE, "ROTATOR_WORKERS": "many"}, "from 2 to 1000"),
        ({**QUEUE, "ROTATOR_WORKERS": "2.5"}, "from 2 to 1000"),
        ({**QUEUE, "ROTATOR_QUEUE_URL": "http://queue.example/work"}, "ROTATOR_QUEUE_URL is"),
        (
            {**QUEUE, "ROTATOR_QUEUE_URL": "foo"},
            r"ROTATOR_QUEUE_URL is a text of 3 characters; it must be the https URL of a queue, such as ",
        ),
    ],
)
def test_invalid_worker_settings_are_refused(environ: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        environment.read_environment({"ROTATOR_ROTATIONS_PATH": "/rotations", **environ})


def test_worker_settings_without_rotations_path_are_refused() -> None:
    one = {"ROTATOR_SECRET_ID": "healthwise/client", "ROTATOR_PARAMETER_NAME": "/healthwise/token"}
    with pytest.raises(SettingsError, match="without ROTATOR_ROTATIONS_PATH"):
        environment.read_environment({**one, **QUEUE})
