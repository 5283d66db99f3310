"""One call of a function at a time: threads that ask for another wait for the call in flight, or go on."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable


class SingleFlight:
    """Calls ``work`` in a thread of its own, once for all threads that ask for it at the same time.

    No lock is held during the call or while a thread waits for it.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Take a new lock and no call in flight: a forked child gets its parent's state, but no threads."""
        self._lock = threading.Lock()
        self.in_flight: threading.Event | None = None
        self._worker: int | None = None

    def join(self, is_wanted: Callable[[], bool]) -> threading.Event | None:
        """Return what is set once the call in flight is done, after beginning one if none is in flight.

        None if no call is wanted, and for the call itself, which must not wait for its own end.

        Args:
            is_wanted: Whether to begin a call. It is asked under the lock, so that no other thread can
                begin one between the answer and the call.
        """
        with self._lock:
            if self.in_flight:
                return None if self._worker == threading.get_ident() else self.in_flight
            if not is_wanted():
                return None
            done = threading.Event()
            has_started = self._start(done)
        if not has_started:
            self._run(done)
        return done

    def _start(self, done: threading.Event) -> bool:
        """Return whether a thread could be started. An interrupted start leaves nothing in flight."""
        try:
            self.in_flight = done
            threading.Thread(target=self._run, args=(done,), name="token", daemon=True).start()
        except RuntimeError:  # as when the interpreter shuts down
            return False
        except BaseException:
            self.in_flight = None
            raise
        return True

    def _run(self, done: threading.Event) -> None:
        self._worker = threading.get_ident()
        try:
            self._work()
        finally:
            with self._lock:
                self.in_flight = self._worker = None
            done.set()


_all: weakref.WeakSet[SingleFlight] = weakref.WeakSet()


def _reset_all() -> None:
    for flight in list(_all):
        flight.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
