"""The embedded AWS account, and an operator's setup of an account: secret, bucket, stack and roles."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from rotator.adapters.runtime.aws_client import keep_sdk_quiet
from rotator.devstack.aws_emulators import ACCOUNT, ADMINISTRATOR, REGION

CHECKOUT = Path(__file__).resolve().parents[2]
TEMPLATE = CHECKOUT / "infra" / "template.yaml"
BUCKET = "rotator-code"
CODE_KEY = "rotator.zip"
STACK = "rotator"


def build_zip(output: Path) -> None:
    """Build the function's zip; raise RuntimeError with the builder's message if that fails."""
    build = subprocess.run(
        [sys.executable, "-m", "infra.build", "--output", str(output.resolve())],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if build.returncode:
        raise RuntimeError(build.stderr.strip())


@dataclass(frozen=True)
class Account:
    """The embedded account as its administrator or a role uses it."""

    endpoint: str
    credentials: Mapping[str, str] = field(default_factory=lambda: ADMINISTRATOR, repr=False)

    def client(self, service: str, *, region: str = REGION) -> Any:
        """Return a client that calls only the embedded account, by default in its own Region."""
        keep_sdk_quiet()
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            **{name.lower(): value for name, value in self.credentials.items()},
        )

    def create_secret(self, name: str, client_id: str, client_secret: str) -> str:
        """Create the secret with the client credentials and return its ARN."""
        text = json.dumps({"client_id": client_id, "client_secret": client_secret})
        return str(self.client("secretsmanager").create_secret(Name=name, SecretString=text)["ARN"])

    def upload(self, zip_file: Path) -> None:
        """Put the function's zip into a new bucket."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.upload_file(str(zip_file), BUCKET, CODE_KEY)

    def create_stack(self, parameters: Mapping[str, str], *, stack: str = STACK) -> dict[str, str]:
        """Create a stack of the template with the uploaded zip and return its outputs.

        Raises RuntimeError, with CloudFormation's reason, if the stack is not created.
        """
        given = {"CodeBucket": BUCKET, "CodeKey": CODE_KEY, **parameters}
        self.client("s3").upload_file(str(TEMPLATE), BUCKET, TEMPLATE.name)  # too large for a request
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(
            StackName=stack,
            TemplateURL=f"{self.endpoint}/{BUCKET}/{TEMPLATE.name}",
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        waiter = cloudformation.get_waiter("stack_create_complete")
        try:
            waiter.wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        except Exception as error:
            raise RuntimeError(f"the stack {stack} was not created: {self._failures(stack)}") from error
        return self.outputs(stack)

    def outputs(self, stack: str = STACK) -> dict[str, str]:
        """Return the outputs of a stack."""
        outputs = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}

    def _failures(self, stack: str) -> str:
        events = self.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
        reasons = [e.get("ResourceStatusReason", "") for e in events if "FAILED" in e["ResourceStatus"]]
        return "; ".join(filter(None, reasons)) or "no reason was given"

    def assume_consumer_role(self, policy_arn: str, *, role: str = "consumer") -> Account:
        """Create a role with the stack's policy for consumers and nothing else, and assume it."""
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        created = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]
        iam.attach_role_policy(RoleName=role, PolicyArn=policy_arn)
        return self.assume_role(created["Arn"])

    def assume_role(self, role_arn: str) -> Account:
        """Assume a role and return the account as the role uses it."""
        session = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="demo")["Credentials"]
        credentials = {
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }
        return Account(self.endpoint, credentials)

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Invoke the function and return its answer; raise RuntimeError if it fails."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            message = payload.get("errorMessage", f"the function {function} failed without a message")
            raise RuntimeError(message)
        return payload

    def log_lines(self, log_group: str, *, since: float = 0) -> list[str]:
        """Return the function's log lines since a time, in seconds since 1970, oldest first."""
        logs = self.client("logs")
        events = logs.filter_log_events(logGroupName=log_group, startTime=int(since * 1000))["events"]
        return [event["message"].rstrip() for event in events]
