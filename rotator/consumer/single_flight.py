"""One call of a function at a time: threads that need a call share the call in flight."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable


class SingleFlight:
    """Calls ``work`` in a thread of its own, once for all threads that need it at the same time.

    No lock is held during the call or while a thread waits for it.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Forget lock and call in flight: a forked child has its parent's state, but not its threads."""
        self._lock = threading.Lock()
        self.in_flight: threading.Event | None = None
        self._worker: int | None = None

    def join(self, is_wanted: Callable[[], bool]) -> threading.Event | None:
        """Return the event that is set once the call in flight is done; begin a call if none is in flight.

        Return None if no call is wanted, or if ``work`` itself is the caller, which must not wait for itself.
        ``is_wanted`` is called under the lock, so that no other thread can begin a call before this one does.
        """
        with self._lock:
            if self.in_flight:
                return None if self._worker == threading.get_ident() else self.in_flight
            if not is_wanted():
                return None
            done = threading.Event()
            try:
                self.in_flight = done
                threading.Thread(target=self._run, args=(done,), name="token", daemon=True).start()
            except RuntimeError:  # for example while the interpreter shuts down
                pass
            except BaseException:  # an interrupted start leaves no call in flight
                self.in_flight = None
                raise
            else:
                return done
        self._run(done)
        return done

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
