"""Beyond one function: a tick hands what is due over to workers, which are the same function again.

Every tick sends again what is still due, so that a message may be lost, come twice or be dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from random import Random

from rotator import messages, readers
from rotator.errors import FEWER_WORKERS, MORE_TIME, MORE_WRITES, WorkNotSent
from rotator.failure import failed_with, left_over
from rotator.model import Outcome, Parameter, Result
from rotator.pace import WRITES_PER_RENEWAL
from rotator.policy import is_unfinished, seconds_until
from rotator.ports import ParameterStore, Run, WorkQueue
from rotator.rotation import as_stored
from rotator.waiting import Due

MESSAGES_PER_CALL = 10
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""

NAMES_PER_READ = 10
"""https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html"""

BATCH = 10
"""Messages that a worker is given at a time (infra/template.yaml)."""

HANDED_OVER = "handed over to the workers"


def hand_over(
    due: Sequence[Due], queue: WorkQueue, *, run: Run, tell: Callable[[Result], None], next_try: datetime
) -> None:
    """Send what is due to the workers, ten messages a call.

    What was sent counts as busy, what could not be sent as failed. A call that fails as a whole ends it:
    the next would fail as well, and take its time to do so.
    """
    rest, sent = _in_order(due, run), dict[str, int]()
    while rest and run.time_for_requests() > 0:
        batch, rest = rest[:MESSAGES_PER_CALL], rest[MESSAGES_PER_CALL:]
        try:
            refused = queue.send([messages.asking_for(each.rotation.name) for each in batch])
        except WorkNotSent as error:
            batch, rest = batch + rest, []
            refused = dict.fromkeys(range(len(batch)), error)
        for place, each in enumerate(batch):
            if place in refused:
                now = run.now()
                tell(failed_with(each.rotation, each.stored, refused[place], now=now, next_try=next_try))
            else:
                sent[each.rotation.name] = each.stored.status_version
                tell(_handed_over(each, run.now()))
    run.memory.remember_handed_over(sent)
    for each in rest:
        tell(left_over(each.rotation, each.stored, now=run.now(), next_try=next_try))


def _in_order(due: Sequence[Due], run: Run) -> list[Due]:
    """What lives soonest expiry first, and what is dead; of each so many that neither starves the other.

    More may be due than workers do in a tick, and the rest is dropped. So what is dead comes in another order
    each time, and what a worker has tried in vain since it was handed over has every fourth turn.
    """
    memory, now = run.memory.handed_over, run.now()
    living, dead, tried = list[Due](), list[Due](), list[Due]()
    for each in due:
        if memory.get(each.rotation.name, each.stored.status_version) != each.stored.status_version:
            tried.append(each)
        else:
            (living if each.ends_at and each.ends_at > now else dead).append(each)
    living.sort(key=lambda each: each.ends_at or now)
    shuffle = Random(run.id).shuffle  # noqa: S311 - whoever could guess it gains nothing
    shuffle(dead)
    shuffle(tried)
    live = iter(living)
    turns = zip_longest(dead, live, live, tried)
    return [each for turn in turns for each in turn if each]


def _handed_over(due: Due, now: datetime) -> Result:
    """Where no token is stored, or none that is known to live, there is nothing left, whoever works on that.

    A worker that never comes to it tells nobody: the least life of all, which an alarm watches, is told here.
    """
    known = due.ends_at and not is_unfinished(due.stored, now)
    left = math.floor(seconds_until(due.ends_at, now)) if known and due.ends_at else 0
    result = as_stored(due.rotation, due.stored, Outcome.BUSY, note=HANDED_OVER)
    return replace(result, expires_at=result.expires_at if known else None, seconds_remaining=left)


def read_documents(path: str, names: Sequence[str], parameters: ParameterStore) -> dict[str, Parameter]:
    """Read the documents that rotations of these names have, unless a document gives another name.

    A worker asks for those alone: a fleet's path may have a hundred pages.
    """
    forms = [f"{path}/{form}" for name in names for form in (name, name.replace(".", "/"))]
    possible = list(filter(_is_a_parameters, dict.fromkeys(forms)))
    found: dict[str, Parameter] = {}
    for start in range(0, len(possible), NAMES_PER_READ):
        found |= parameters.read(possible[start : start + NAMES_PER_READ])
    return found


def _is_a_parameters(name: str) -> bool:
    """Whether a parameter may have this name; AWS refuses a whole call for one that none can have."""
    try:
        readers.any_parameter_name(name)
    except readers.Refused:
        return False
    return True


def pace_warning(writes_per_second: float, workers: int, run: Run) -> Iterator[str]:
    """Say if the workers' part of the account's writes is too small for what each is given at a time."""
    needed, has = BATCH * WRITES_PER_RENEWAL * workers / writes_per_second, run.time_for_requests()
    if needed > has:
        yield (
            f"{workers} workers share {writes_per_second:g} writes a second, so {BATCH} rotations take "
            f"one {needed:.0f} s, and a run has {has:.0f} s; {FEWER_WORKERS}, {MORE_TIME}, or {MORE_WRITES}"
        )
