"""The SDK's descriptions, cut for the zip: requests, answers, errors and endpoints are those of the whole."""

from __future__ import annotations

import ast
import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore import xform_name
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.loaders import Loader
from botocore.model import Shape
from botocore.regions import EndpointResolver
from botocore.session import Session, get_session

import rotator
from infra import build, trimmed_sdk
from rotator.adapters.runtime import parameter_store

INSTALLED = Path(botocore.__file__).parent / "data"
NEW_EACH_TIME = {"amz-sdk-invocation-id", "X-Amz-Date", "Authorization"}
CALLED = [(service, name) for service, names in trimmed_sdk.OPERATIONS.items() for name in sorted(names)]
REGIONS_TO_COME = ("eu-west-9", "mx-north-2", "cn-east-7", "us-gov-south-1", "eusc-at-east-1", "moon-1")


def whole_model(service: str) -> dict[str, Any]:
    [file] = (INSTALLED / service).glob("*/service-2.json.gz")
    model: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return model


@pytest.fixture(scope="session")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed SDK's data, cut."""
    folder = tmp_path_factory.mktemp("sdk") / "data"
    folder.mkdir()
    for path in INSTALLED.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    for service in trimmed_sdk.SERVICES:
        shutil.copytree(INSTALLED / service, folder / service)
    (folder / "s3" / "2006-03-01").mkdir(parents=True)
    trimmed_sdk.cut(folder)
    return folder


class Installed(Loader):
    """Reads one folder only, which botocore takes for its own."""

    def __init__(self, data: Path) -> None:
        self.BUILTIN_DATA_PATH = self.CUSTOMER_DATA_PATH = str(data)
        super().__init__()


def session(data: Path) -> Session:
    made = get_session()
    made.register_component("data_loader", Installed(data))
    made.set_credentials("AKIDEXAMPLE", "secret")
    return made


@pytest.fixture(scope="session")
def sessions(cut: Path) -> tuple[Session, Session]:
    """Of the cut data, and of the whole."""
    return session(cut), session(INSTALLED)


# A call: the same bytes go out, and the same answer or error comes in.


class Wire:
    """AWS at the other end of a client's wire: it keeps the request, and gives one answer to all."""

    def __init__(self, session: Session, service: str, status: int, body: bytes) -> None:
        self.client: Any = session.create_client(
            service, region_name="eu-central-1", config=Config(retries={"total_max_attempts": 1})
        )
        self.client.meta.events.register("before-send", self._answer)
        self._status, self.body = status, body
        self.sent: dict[str, Any] = {}

    def _answer(self, request: AWSPreparedRequest, **_: Any) -> Any:
        headers = {name: value for name, value in request.headers.items() if name not in NEW_EACH_TIME}
        self.sent = {"url": request.url, "method": request.method, "headers": headers, "body": request.body}
        type_: Any = {
            "Content-Type": "application/x-amz-json-1.1",
            "x-amzn-query-error": "AWS.SimpleQueueService.X;Sender",
        }

        class Raw:
            def __init__(self, body: bytes) -> None:
                self.body = body

            def stream(self) -> Iterator[bytes]:
                yield self.body

        return AWSResponse(str(request.url), self._status, type_, Raw(self.body))

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self.client, xform_name(operation))(**parameters)
        return answer


def example(shape: Shape | None, *, on_the_wire: bool, inside: tuple[str, ...] = ()) -> Any:
    """A value with every member that a shape has; one that holds itself is left empty inside."""
    if shape is None or shape.name in inside:
        return {}
    if shape.type_name == "structure":
        members: Mapping[str, Shape] = shape.members  # type: ignore[attr-defined]
        return {
            name: example(member, on_the_wire=on_the_wire, inside=(*inside, shape.name))
            for name, member in members.items()
        }
    if shape.type_name == "list":
        return [example(shape.member, on_the_wire=on_the_wire, inside=inside)]  # type: ignore[attr-defined]
    if shape.type_name == "map":
        return {"key": example(shape.value, on_the_wire=on_the_wire, inside=inside)}  # type: ignore[attr-defined]
    least = int(shape.metadata.get("min", 1))
    blob: Any = base64.b64encode(b"blob").decode() if on_the_wire else b"blob"
    values: dict[str, Any] = {
        "string": shape.metadata.get("enum", ["x" * max(least, 1)])[0],
        "blob": blob,
        "timestamp": 1_795_000_000.25,
        "boolean": True,
    }
    return values.get(shape.type_name, least)


def read(answer: Any) -> Any:
    """An answer without what the function never looks at."""
    if isinstance(answer, list):
        return [read(each) for each in answer]
    if isinstance(answer, dict):
        unread = (
            trimmed_sdk.UNREAD["Parameter"] if "Version" in answer and "Selector" in answer else frozenset()
        )
        return {name: read(value) for name, value in answer.items() if name not in unread}
    return answer


def test_function_reads_no_response_field_that_is_cut() -> None:
    source = ast.parse(Path(parameter_store.__file__).read_text())
    named = {node.value for node in ast.walk(source) if isinstance(node, ast.Constant)}
    assert named >= {"Name", "Value", "Version", "Type"}
    assert not named & trimmed_sdk.UNREAD["Parameter"]


@pytest.mark.parametrize(("service", "operation"), CALLED)
def test_call_with_the_cut_model_sends_and_parses_the_same(
    service: str, operation: str, sessions: tuple[Session, Session]
) -> None:
    model = sessions[1].get_service_model(service).operation_model(operation)
    parameters = example(model.input_shape, on_the_wire=False)
    body = json.dumps(example(model.output_shape, on_the_wire=True)).encode()
    ours, whole = (Wire(each, service, 200, body) for each in sessions)
    answers = [each.call(operation, parameters) for each in (ours, whole)]
    assert answers[0] == read(answers[1])
    assert answers[0].keys() == {"ResponseMetadata", *model.output_shape.members}  # type: ignore[union-attr]
    assert ours.sent == whole.sent
    assert json.loads(ours.sent["body"]).keys() == parameters.keys()


@pytest.mark.parametrize(("service", "operation"), CALLED)
def test_invalid_parameters_are_refused_with_the_same_message(
    service: str, operation: str, sessions: tuple[Session, Session]
) -> None:
    shape: Any = sessions[1].get_service_model(service).operation_model(operation).input_shape
    empty: Mapping[str, Any] = {"string": "", "list": [], "integer": -1}
    too_little = {name: empty.get(member.type_name) for name, member in shape.members.items()}
    reported = []
    for each in sessions:
        with pytest.raises(ParamValidationError) as caught:
            Wire(each, service, 200, b"{}").call(operation, {**too_little, "Nonsense": 2})
        reported.append(str(caught.value))
    assert reported[0] == reported[1]


@pytest.mark.parametrize(("service", "operation"), CALLED)
def test_every_service_error_has_the_same_code_and_message(
    service: str, operation: str, sessions: tuple[Session, Session]
) -> None:
    shapes: Sequence[Any] = sessions[1].get_service_model(service).error_shapes
    parameters = example(
        sessions[1].get_service_model(service).operation_model(operation).input_shape, on_the_wire=False
    )
    wires = [Wire(each, service, 400, b"") for each in sessions]
    for code in [shape.error_code for shape in shapes] + ["ThrottlingException", "AccessDeniedException"]:
        reported = []
        for wire in wires:
            wire.body = json.dumps({"__type": f"com.amazon#{code}", "message": "m"}).encode()
            with pytest.raises(ClientError) as caught:
                wire.call(operation, parameters)
            reported.append((caught.value.response["Error"], str(caught.value)))
        assert reported[0] == reported[1]


# Endpoints: wherever a client is made, it goes to the same place and signs for it.


@cache
def regions() -> set[str]:
    """Every Region and pseudo-Region that the installed SDK knows, and some that it does not."""
    endpoints = json.loads((INSTALLED / "endpoints.json").read_bytes())["partitions"]
    rules = json.loads((INSTALLED / "partitions.json").read_bytes())["partitions"]
    return {
        *(region for partition in (*endpoints, *rules) for region in partition["regions"]),
        *(
            name
            for partition in endpoints
            for service in trimmed_sdk.SERVICES & partition["services"].keys()
            for name in partition["services"][service]["endpoints"]
        ),
        *REGIONS_TO_COME,
    }


@cache
def one_of_each_partition() -> set[str]:
    """One Region of every partition, and those that the installed SDK does not know."""
    partitions = json.loads((INSTALLED / "partitions.json").read_bytes())["partitions"]
    return {*(min(partition["regions"]) for partition in partitions), *REGIONS_TO_COME}


def endpoint(session: Session, service: str, region: str, flags: Mapping[str, Any]) -> object:
    """Where a call goes and what it is signed for, or why there is no such place."""
    gone: list[object] = []

    def stop(request: AWSPreparedRequest, **_: Any) -> None:
        scope = re.search(r"Credential=[^/]+/\d+/([^,]+)", str(request.headers.get("Authorization")))
        gone.append((request.url, scope and scope[1]))
        raise InterruptedError

    try:
        client: Any = session.create_client(
            service, region_name=region, config=Config(**flags, retries={"total_max_attempts": 1})
        )
        client.meta.events.register("before-send", stop)
        calls: dict[str, tuple[str, dict[str, Any]]] = {
            "kms": (
                "sign",
                {"KeyId": "k", "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"},
            ),
            "ssm": ("get_parameters", {"Names": ["n"]}),
            "secretsmanager": ("get_secret_value", {"SecretId": "s"}),
            "sqs": (
                "send_message_batch",
                {"QueueUrl": "https://queue", "Entries": [{"Id": "0", "MessageBody": "b"}]},
            ),
            "sts": ("get_caller_identity", {}),
        }
        call, parameters = calls[service]
        getattr(client, call)(**parameters)
    except (BotoCoreError, InterruptedError) as error:
        return gone or (type(error), str(error))
    raise AssertionError


@pytest.mark.parametrize("dual_stack", [False, True], ids=["", "dual stack"])
@pytest.mark.parametrize("fips", [False, True], ids=["", "FIPS"])
@pytest.mark.parametrize("service", sorted(trimmed_sdk.SERVICES))
def test_client_endpoint_is_the_same_in_every_region(
    service: str, fips: bool, dual_stack: bool, sessions: tuple[Session, Session]
) -> None:
    """The rules for FIPS and dual stack, which are whole in the zip, depend on the partition alone."""
    flags = {"use_fips_endpoint": fips, "use_dualstack_endpoint": dual_stack}
    everywhere = one_of_each_partition() if fips or dual_stack else regions()
    places = {
        region: [endpoint(each, service, region, flags) for each in sessions] for region in sorted(everywhere)
    }
    assert {region: each for region, each in places.items() if each[0] != each[1]} == {}
    assert len({str(ours) for ours, _ in places.values()}) > len(places) / 2


@pytest.mark.parametrize("service", sorted(trimmed_sdk.SERVICES))
def test_legacy_resolver_gives_the_same_partition_and_endpoint(service: str, cut: Path) -> None:
    """By these the SDK still finds partitions, and whatever an ``AWS_DATA_PATH`` makes it call."""

    def reported(data: Path) -> list[object]:
        resolver: Any = EndpointResolver(json.loads((data / "endpoints.json").read_bytes()))
        return [
            (partition, region, resolver.construct_endpoint(service, region, partition))
            for partition in resolver.get_available_partitions()
            for region in sorted(regions())
        ]

    assert reported(cut) == reported(INSTALLED)


def test_sdk_accepts_the_cut_endpoints_as_builtin_data(
    unpacked: Path, clean_environment: Mapping[str, str]
) -> None:
    program = (
        "from rotator.adapters.runtime import aws_client; aws_client.client('ssm');"
        "print(aws_client.session()._get_internal_component('endpoint_resolver').uses_builtin_data)"
    )
    assert (
        in_the_zip(program, unpacked, {**clean_environment, "AWS_DEFAULT_REGION": "eu-central-1"}) == "True"
    )


# The zip.


def in_the_zip(program: str, unpacked: Path, environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-S", "-B", "-c", program]
    run = subprocess.run(command, cwd=unpacked, env=environment, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def function_sources() -> list[ast.Module]:
    """The sources of rotator that are in the zip."""
    package = Path(rotator.__file__).parent
    return [
        ast.parse((Path(folder) / name).read_text())
        for folder, _, names in os.walk(package)
        for name in names
        if name.endswith(".py") and not build.is_ignored(Path(folder) / name)
    ]


def test_every_operation_that_the_function_calls_is_in_the_cut() -> None:
    nodes = [node for source in function_sources() for node in ast.walk(source)]
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    of_aws = {
        xform_name(name) for service in trimmed_sdk.OPERATIONS for name in whole_model(service)["operations"]
    }
    called = attributes & of_aws
    assert called >= {"get_parameters", "put_parameter", "get_secret_value"}
    assert called <= {xform_name(name) for _, name in CALLED}


def test_every_service_with_a_client_is_in_the_cut() -> None:
    calls = [n for source in function_sources() for n in ast.walk(source) if isinstance(n, ast.Call)]
    named = {
        call.args[0].value
        for call in calls
        if ast.unparse(call.func) == "aws_client.client" and isinstance(call.args[0], ast.Constant)
    }
    assert {"ssm", "secretsmanager"} <= named <= trimmed_sdk.OPERATIONS.keys()


def test_zip_holds_the_cut_of_the_sdk_under_test(unpacked: Path, cut: Path) -> None:
    data = unpacked / "botocore" / "data"

    def files(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    assert files(data) == files(cut)


def test_cut_model_drops_docs_but_keeps_a_member_of_that_name() -> None:
    shapes = {
        "In": {
            "type": "structure",
            "members": {"documentation": {"shape": "Text", "documentation": "a text"}},
        },
        "Text": {"type": "string", "documentation": "a text"},
        "Other": {"type": "string"},
    }
    operations = {
        "Do": {"input": {"shape": "In"}, "documentation": "does"},
        "Undo": {"input": {"shape": "Other"}},
    }
    model = {"documentation": "all of it", "operations": operations, "shapes": shapes}
    assert trimmed_sdk.cut_model(model, ["Do"]) == {
        "operations": {"Do": {"input": {"shape": "In"}}},
        "shapes": {
            "In": {"type": "structure", "members": {"documentation": {"shape": "Text"}}},
            "Text": {"type": "string"},
        },
    }


def test_unknown_operation_stops_the_cut() -> None:
    with pytest.raises(KeyError, match="GetParametre"):
        trimmed_sdk.cut_model(whole_model("ssm"), ["GetParametre"])


def test_aws_data_path_takes_precedence_over_the_cut(
    unpacked: Path, clean_environment: Mapping[str, str]
) -> None:
    program = (
        "from rotator.adapters.runtime import aws_client;"
        "print(hasattr(aws_client.client('ssm'), 'describe_parameters'))"
    )
    environment = {**clean_environment, "AWS_DEFAULT_REGION": "eu-central-1"}
    assert in_the_zip(program, unpacked, environment) == "False"
    environment["AWS_DATA_PATH"] = os.pathsep.join(["/nowhere", str(INSTALLED)])
    assert in_the_zip(program, unpacked, environment) == "True"
