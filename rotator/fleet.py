"""One run: every rotation is tried, each on its own, and every outcome is told."""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator import rollover, status
from rotator.contract import Contract
from rotator.errors import (
    ParameterStoreError,
    RotatorError,
    SettingsError,
    StatusNotWritten,
    TokenNotPublished,
)
from rotator.model import Outcome, Result, Rotation, Stored, Summary
from rotator.policy import describe_seconds, fails_late, seconds_until
from rotator.ports import ParameterStore, Ports, Run
from rotator.rotation import rotate

logger = logging.getLogger(__name__)

WORKERS = 8
"""Rotations served at a time."""

ROTATIONS_PER_READ = 5
"""GetParameters takes ten names, and a rotation has two."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The rotations to serve, and by name what is wrong with those that cannot be.

    ``left_out`` counts those that exist besides.
    """

    rotations: tuple[Rotation, ...]
    broken: tuple[tuple[str, SettingsError], ...] = ()
    left_out: int = 0

    def only(self, names: Sequence[str]) -> Fleet:
        """Return the rotations of these names, or all of them if no name is given.

        Raises SettingsError for a name that no rotation has.
        """
        if not names:
            return self
        known = {r.name for r in self.rotations} | {name for name, _ in self.broken}
        for name in names:
            if name not in known:
                raise SettingsError(
                    f"there is no rotation named {name[:64]!r}",
                    advice="name one of: " + ", ".join(sorted(known)[:10]),
                )
        rotations = tuple(r for r in self.rotations if r.name in names)
        broken = tuple(b for b in self.broken if b[0] in names)
        left_out = len(self.rotations) + len(self.broken) - len(rotations) - len(broken)
        return Fleet(rotations=rotations, broken=broken, left_out=left_out)


def run_fleet(
    fleet: Fleet,
    ports: Ports,
    run: Run,
    contract: Contract,
    *,
    force: bool = False,
    dry_run: bool = False,
) -> Summary:
    """Try every rotation and return the summary; it raises nothing for a failed one."""
    stored = read_stored(fleet.rotations, ports.parameters)
    next_try = run.now() + timedelta(seconds=contract.schedule_interval)

    def serve(rotation: Rotation) -> Result:
        found = stored[rotation.name]
        if isinstance(found, RotatorError):
            return _failed(rotation.name, found, next_try)
        try:
            result = rotate(rotation, found, ports, run, force=force, dry_run=dry_run)
        except Exception as error:  # noqa: BLE001 - not even a defect in one may stop the others
            failed = _failed(rotation.name, _foreseen(error, rotation.name), next_try)
            failed = _with_what_is_left(failed, rotation, _left_by(error, found), run.now())
            return replace(failed, late=failed.late or isinstance(error, TokenNotPublished))
        late = result.outcome is Outcome.KEPT and fails_late(rotation, found, run.now())
        return replace(result, late=late) if late else result

    results = [_failed(name, error, next_try) for name, error in fleet.broken]
    results += _each(fleet.rotations, serve)
    return Summary(
        results=tuple(sorted(results, key=lambda result: result.name)),
        warnings=(
            *rollover.warnings(results),
            *_kept_warnings(results, run),
            *_overlap_warnings(fleet, results, run, contract),
        ),
        dry_run=dry_run,
        left_out=fleet.left_out,
    )


def read_stored(
    rotations: Sequence[Rotation], parameters: ParameterStore
) -> dict[str, Stored | RotatorError]:
    """Read token and status of every rotation by name, five rotations a call.

    One denied name makes AWS refuse the whole call, so a failed batch is read one by one.
    """
    stored: dict[str, Stored | RotatorError] = {}
    for start in range(0, len(rotations), ROTATIONS_PER_READ):
        batch = rotations[start : start + ROTATIONS_PER_READ]
        try:
            found = parameters.read([n for r in batch for n in (r.parameter_name, r.status_name)])
        except ParameterStoreError as error:
            if len(batch) > 1:
                for rotation in batch:
                    stored |= read_stored([rotation], parameters)
            else:
                stored[batch[0].name] = error
            continue
        for rotation in batch:
            try:
                stored[rotation.name] = status.read(rotation, found)
            except ParameterStoreError as error:
                stored[rotation.name] = error
    return stored


def _each(rotations: Sequence[Rotation], serve: Callable[[Rotation], Result]) -> list[Result]:
    if len(rotations) < 2:
        return [serve(rotation) for rotation in rotations]
    with ThreadPoolExecutor(max_workers=min(WORKERS, len(rotations))) as pool:
        return list(pool.map(serve, rotations))


def _foreseen(error: Exception, name: str) -> RotatorError:
    """An error of ours as it is; of any other only its type, because nobody knows what it quotes."""
    if isinstance(error, RotatorError):
        return error
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("unforeseen %s in rotation %s\n%s", type(error).__name__, name, frames)
    problem = f"unforeseen {type(error).__name__}"
    return RotatorError(problem, advice="report it with the log's traceback")


def _failed(name: str, error: RotatorError, next_try: datetime) -> Result:
    """A failure; as long as nothing is known of the stored token, it counts as a late one."""
    return Result(
        name=name,
        outcome=Outcome.FAILED,
        error=str(error),
        error_kind=type(error).__name__,
        late=True,
        next_try=next_try,
    )


def _left_by(error: Exception, stored: Stored) -> Stored:
    """What is stored after a failure, as far as it is known."""
    if isinstance(error, StatusNotWritten):
        return replace(stored, status=error.status, token_version=error.status.parameter_version)
    return stored


def _with_what_is_left(failed: Result, rotation: Rotation, stored: Stored, now: datetime) -> Result:
    """A failure with what consumers still have."""
    status = stored.trusted
    return replace(
        failed,
        expires_at=status.expires_at if status else None,
        parameter_version=stored.token_version or None,
        lifetime=status.lifetime if status else None,
        late=fails_late(rotation, stored, now),
        seconds_remaining=_seconds_remaining(stored, now),
    )


def _seconds_remaining(stored: Stored, now: datetime) -> int | None:
    """What is left of the stored token's life: 0 if there is none, None if that is not known."""
    if stored.trusted:
        return math.floor(seconds_until(stored.trusted.expires_at, now))
    return None if stored.token_version else 0


def _kept_warnings(results: Sequence[Result], run: Run) -> Iterator[str]:
    """Say which stored tokens run out while the endpoint gives none that lives longer."""
    for result in results:
        if result.outcome is Outcome.KEPT and result.late and result.expires_at:
            left = describe_seconds(seconds_until(result.expires_at, run.now()))
            yield (
                f"rotation {result.name}: the endpoint gives no token that outlives the stored one, "
                f"which has {left} left; ask its operator until when it repeats a token"
            )


def _overlap_warnings(fleet: Fleet, results: Sequence[Result], run: Run, contract: Contract) -> Iterator[str]:
    """Say which consumers may present a dead token: worth a warning, never a reason to stop."""
    lifetimes = {result.name: result.lifetime for result in results}
    actual = replace(contract, run_budget=run.budget)
    for rotation in fleet.rotations:
        lifetime = lifetimes.get(rotation.name)
        problem = actual.problem(lifetime, rotation.renew_at) if lifetime else None
        if problem:
            yield f"rotation {rotation.name}: {problem}"
