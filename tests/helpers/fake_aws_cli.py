"""A stand-in of the AWS CLI: an executable that answers from a table and writes down what it was asked."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READING = {
    "configure get",
    "sts get-caller-identity",
    "s3api head-bucket",
    "secretsmanager describe-secret",
    "cloudformation describe-stacks",
    "cloudformation describe-stack-events",
    "cloudformation list-change-sets",
    "logs filter-log-events",
    "sns list-subscriptions-by-topic",
    "ssm get-parameter",
    "lambda get-function-configuration",
}

SCRIPT = """#!{python} -IS
import json, os, sys
folder = os.path.dirname(__file__)
def file(name, mode="r"):
    return open(os.path.join(folder, name), mode)
command = " ".join(sys.argv[1:3])
with file("calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
with file("environments", "a") as environments:
    environments.write(json.dumps(dict(os.environ)) + "\\n")
with file("calls") as calls, file("answers") as answers:
    asked = [json.loads(line)[:2] for line in calls]
    answers = json.load(answers).get(command)
if answers is None:
    sys.exit(f"the fake knows no {{command}}")
answer = answers[min(asked.count(sys.argv[1:3]), len(answers)) - 1]
if "said" in answer:
    sys.stderr.write(answer["said"])
    sys.exit(254)
is_text = command in ("configure get", "cloudformation deploy")
if answer["answer"] is not None:
    print(answer["answer"] if is_text else json.dumps(answer["answer"]))
"""


@dataclass(frozen=True)
class Refusal:
    """The CLI's exit with this on its standard error."""

    said: str


@dataclass(frozen=True)
class FakeAws:
    """The executable's folder, for PATH, and what it answers and was asked."""

    folder: Path

    @classmethod
    def install(cls, folder: Path) -> FakeAws:
        executable = folder / "aws"
        executable.write_text(SCRIPT.format(python=sys.executable))
        executable.chmod(0o755)
        (folder / "answers").write_text("{}")
        return cls(folder)

    def answers(self, command: str, *answers: Any) -> None:
        """Answer the command with these, one after another; the last again and again."""
        table = json.loads((self.folder / "answers").read_text())
        table[command] = [{"said": a.said} if isinstance(a, Refusal) else {"answer": a} for a in answers]
        (self.folder / "answers").write_text(json.dumps(table))

    @property
    def calls(self) -> list[list[str]]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def environments(self) -> list[dict[str, str]]:
        """The environment of every call."""
        return [json.loads(line) for line in (self.folder / "environments").read_text().splitlines()]

    @property
    def changes(self) -> list[str]:
        """The commands that may have changed something, in order."""
        commands = [" ".join(call[:2]) for call in self.calls]
        return [command for command in commands if command not in READING]

    def call(self, command: str) -> list[str]:
        """The arguments of the command's only call."""
        (found,) = (call[2:] for call in self.calls if " ".join(call[:2]) == command)
        return found


def refused(code: str, operation: str, words: str) -> Refusal:
    """A refusal of AWS in the format of version 1."""
    return Refusal(f"\nAn error occurred ({code}) when calling the {operation} operation: {words}\n")
