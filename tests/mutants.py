"""Test the tests: break the core in every small way that mutmut knows, and see that a test fails each time.

A change that no test notices is a survivor; one after which the tests never end was noticed. A survivor
needs a better test or, where it changes nothing that anyone
could notice, an explanation in mutants.toml. This fails for survivors without an explanation, and for
explanations without a survivor.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parent
CHECKOUT = TESTS.parent
FOLDER = CHECKOUT / ".build" / "mutants"
"""mutmut works in the current folder, and fills it."""

_NAME = re.compile(r"rotator\.([\w.]+)\.x(?:ǁ(\w+)ǁ|_)(\w+)__mutmut_\d+")
"""Of a mutant: the module, the class if there is one, the function."""

MUTMUT = (sys.executable, "-m", "mutmut")
CHILDREN = 2


class Change(NamedTuple):
    """What a mutant does to which function, such as ``oauth._basic``."""

    function: str
    was: str
    became: str

    def __str__(self) -> str:
        return f"{self.function}\n  - {self.was}\n  + {self.became}"


def main() -> int:
    _make_folder()
    if subprocess.run([*MUTMUT, "run", "--max-children", str(CHILDREN)], cwd=FOLDER, check=False).returncode:
        return 1  # mutmut printed why: most likely a test fails without any mutant
    survivors = {_change(name): state for name, state in _survivors()}
    explained = {
        Change(one["function"], one["was"], one["became"])
        for one in tomllib.loads((TESTS / "mutants.toml").read_text())["survivor"]
    }
    unexplained = survivors.keys() - explained
    outdated = explained - survivors.keys()
    for change in sorted(unexplained):
        print(f"{survivors[change]}, and not explained: {change}")
    for change in sorted(outdated):
        print(f"explained, but not a survivor: {change}")
    print(f"{len(survivors)} mutants survived, {len(unexplained)} of them unexplained")
    return 1 if unexplained or outdated else 0


def _make_folder() -> None:
    """Start with an empty folder: the results of an earlier run do not follow changes of the tests."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in ("rotator", "tests", "pyproject.toml"):
        (FOLDER / name).symlink_to(CHECKOUT / name)


def _survivors() -> list[tuple[str, str]]:
    """The mutants that were not noticed, with what became of them instead, such as ``no tests``."""
    lines = (line.strip().partition(": ") for line in _mutmut("results").splitlines())
    return [(name, state) for name, _, state in lines if state != "timeout"]


def _change(mutant: str) -> Change:
    """Read a mutant's name, such as ``rotator.oauth.x__basic__mutmut_15``, and its diff."""
    found = _NAME.fullmatch(mutant)
    assert found, mutant
    diff = [line for line in _mutmut("show", mutant).splitlines() if not line.startswith(("---", "+++"))]
    was, became = (" ".join(line[1:].strip() for line in diff if line.startswith(sign)) for sign in "-+")
    return Change(".".join(filter(None, found.groups())), was, became)


def _mutmut(*args: str) -> str:
    return subprocess.run([*MUTMUT, *args], cwd=FOLDER, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
