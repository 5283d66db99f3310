"""``make logs``: print the function's log of the last hour, or of the duration SINCE."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping

from infra import stacks
from infra.aws_cli import connect
from infra.command import Problem, run
from rotator.config.validators import UNIT_SECONDS


def logs(environ: Mapping[str, str]) -> None:
    """Print the log of the stack that STACK names, oldest first; raises Problem."""
    name = stacks.check_name(environ.get("STACK", "").strip(), "logs")
    since = environ.get("SINCE", "").strip() or "1h"
    duration = re.fullmatch(r"(\d{1,6})([smhd])", since)
    if not duration:
        step = "write a number and a unit, such as 90s, 30m, 1h or 2d"
        raise Problem("SINCE is not a valid duration", step)
    begin = time.time() - int(duration[1]) * UNIT_SECONDS[duration[2]]
    cli = connect(environ)
    group = stacks.existing(cli, name).outputs.get("LogGroupName", f"/rotator/{name}")
    messages = cli.read(
        *("logs", "filter-log-events", "--log-group-name", group),
        *("--start-time", str(int(begin * 1000)), "--query", "events[].message"),
        failure=f"the log {group} could not be read",
    )
    if not messages:
        print(
            f"logs: the function logged nothing in the last {since}; check that its schedule is enabled",
            file=sys.stderr,
        )
    for message in messages or []:
        print(message.rstrip())


if __name__ == "__main__":
    sys.exit(run("logs", lambda: logs(os.environ)))
