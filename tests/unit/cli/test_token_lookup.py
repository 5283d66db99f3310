"""Which parameter NAME means to ``rotator token`` and ``rotator exec``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from fake_ports import FakeParameterStore
from rotator import bootstrap
from rotator.cli.token_lookup import parameter_name
from rotator.errors import SettingsError

ONE = {"ROTATOR_PARAMETER_NAME": "/healthwise/token"}
ARN = "arn:aws:ssm:eu-central-1:123456789012:parameter"
MANY = {"ROTATOR_ROTATIONS_PATH": "/rotations"}
DOCUMENT = '{"secret_id": "healthwise/client", "parameter_name": "/%s/token"}'


@pytest.fixture
def lookup(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return the parameter of a name with these variables in the environment."""

    def parameter(name: str | None, environ: Mapping[str, str], stack: str | None = None) -> str:
        for variable, value in environ.items():
            monkeypatch.setenv(variable, value)
        return parameter_name(name, stack)

    return parameter


@pytest.fixture
def documents(monkeypatch: pytest.MonkeyPatch) -> FakeParameterStore:
    """What is stored where the settings name a path."""
    store = FakeParameterStore()
    monkeypatch.setattr(bootstrap.Adapters, "parameters", store)
    return store


def put(documents: FakeParameterStore, **texts: str) -> None:
    for name, text in texts.items():
        documents.put(f"/rotations/{name}", text, "String")


@pytest.mark.parametrize(
    ("name", "environ", "parameter"),
    [
        pytest.param(None, ONE, "/healthwise/token", id="the setting is enough"),
        pytest.param("default", ONE, "/healthwise/token", id="the only rotation by its name"),
        pytest.param("eu", {**ONE, "ROTATOR_NAME": "eu"}, "/healthwise/token", id="its name is a setting"),
        pytest.param(None, {**ONE, "ROTATOR_SECRET_ID": ""}, "/healthwise/token", id="an empty secret_id"),
        pytest.param("/a/b", {}, "/a/b", id="a parameter's own name needs no setting"),
        pytest.param("/a/b", ONE, "/a/b", id="a parameter's own name comes first"),
        pytest.param("/a", {"ROTATOR_RENEW_AT": "2"}, "/a", id="whatever the settings are"),
        pytest.param("/aws/x" + "/a" * 13, {}, "/aws/x" + "/a" * 13, id="someone else's parameter"),
    ],
)
def test_name_resolves_to_its_parameter(
    name: str | None, environ: Mapping[str, str], parameter: str, lookup: Callable[..., str]
) -> None:
    assert lookup(name, environ) == parameter


def test_document_is_found_by_name_or_if_it_is_the_only_one(
    documents: FakeParameterStore, lookup: Callable[..., str]
) -> None:
    put(documents, a=DOCUMENT % "a")
    assert lookup(None, MANY) == "/a/token"
    put(documents, b=DOCUMENT % "b")
    assert lookup("b", MANY) == "/b/token"


def test_missing_name_is_refused_with_several_documents(
    documents: FakeParameterStore, lookup: Callable[..., str]
) -> None:
    put(documents, b=DOCUMENT % "b", a=DOCUMENT % "a", broken="{")
    with pytest.raises(SettingsError) as caught:
        lookup(None, MANY)
    assert str(caught.value) == "there are 3 rotations, and NAME is missing; name one of: a, b, broken"


def test_broken_document_is_reported_by_its_own_error(
    documents: FakeParameterStore, lookup: Callable[..., str]
) -> None:
    put(documents, a=DOCUMENT % "a", broken="{")
    with pytest.raises(SettingsError, match="the rotation document /rotations/broken is not a JSON object"):
        lookup("broken", MANY)


@pytest.mark.parametrize(
    ("name", "environ", "message"),
    [
        pytest.param(
            None,
            {},
            "ROTATOR_PARAMETER_NAME is not set; .*, or give a parameter's name, beginning with /, as NAME",
            id="nothing at all",
        ),
        pytest.param(
            "a/b", {}, "NAME is 'a/b'; it must be a path that begins with \"/\"", id="no slash before"
        ),
        pytest.param("a/b", ONE, "NAME is 'a/b'", id="no slash before, with settings"),
        pytest.param("arn:aws:sqs:us-east-1:123456789012:queue", {}, "NAME is 'arn:", id="another ARN"),
        pytest.param(
            "other",
            ONE,
            "no rotation named 'other'; name one of: default; or give a parameter's name",
            id="another name",
        ),
        pytest.param(
            None, {"ROTATOR_PARAMETER_NAM": "/a"}, "did you mean ROTATOR_PARAMETER_NAME", id="misspelt"
        ),
        pytest.param(
            None, {"ROTATOR_PARAMETER_NAME": "a b"}, 'ROTATOR_PARAMETER_NAME is "a b"', id="no path"
        ),
        pytest.param(None, {**ONE, **MANY}, "are both set", id="one and many"),
        pytest.param("/", {}, "NAME is '/'; it must be a path", id="the root"),
        pytest.param("/a/", {}, "NAME is '/a/'", id="slash at the end"),
        pytest.param("/a:3", {}, "NAME is '/a:3'", id="an older version"),
        pytest.param("", ONE, "no rotation named ''; name one of: default", id="a variable that is empty"),
        pytest.param("/a\n", {}, "NAME is", id="newline"),
        pytest.param("/a" * 16, {}, "at most 15 levels", id="too deep"),
        pytest.param("/" + "a" * 1011, {}, "1011 characters", id="too long"),
        pytest.param("/" + "a" * 967, {}, "1011 characters", id="too long with an ARN before it"),
        pytest.param(f"{ARN}/" + "a" * (1011 - len(ARN)), {}, "1011 characters", id="too long an ARN"),
    ],
)
def test_unresolvable_name_is_refused_with_advice(
    name: str | None, environ: Mapping[str, str], message: str, lookup: Callable[..., str]
) -> None:
    with pytest.raises(SettingsError, match=message):
        lookup(name, environ)


def test_stack_settings_replace_the_environment(
    monkeypatch: pytest.MonkeyPatch, lookup: Callable[..., str]
) -> None:
    stacks = {"web": {"ROTATOR_SECRET_ID": "arn", "ROTATOR_PARAMETER_NAME": "/web/token"}}
    monkeypatch.setattr("rotator.adapters.operator.stack_settings.stack_variables", stacks.__getitem__)
    assert lookup(None, ONE, "web") == "/web/token"
    with pytest.raises(SettingsError, match="/a needs no stack; leave out --stack"):
        lookup("/a", ONE, "web")


def test_parameter_arn_is_used_unchanged(lookup: Callable[..., str]) -> None:
    arn = "arn:aws:ssm:us-east-1:123456789012:parameter/of/another"
    assert lookup(arn, {}) == arn
