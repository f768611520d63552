"""One seeded scheduler: fake time, and tasks of which exactly one runs at a time.

Every sleep and every call of a client is a switch point: the task whose wake-up time is the earliest goes on. Times
come from seeded random latencies, so the same seed gives the same interleaving. Tasks are threads that pass a baton,
because the code under test is ordinary blocking code; as long as nothing interleaves, no baton is passed and no thread
is used.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

T = TypeVar("T")


class Killed(KeyboardInterrupt):
    """The invocation of this task has ended: its process is gone. Not an Exception, so that nothing handles it."""


class Deadlock(RuntimeError):
    """Nothing is left to happen, but a task still waits."""


class Group(Protocol):
    """What tasks belong to: all of a dead group are ended when they would go on."""

    dead: bool


class Task:
    """Something that runs. Mutable, with slots: thousands are made a second."""

    __slots__ = ("call", "group", "thread")

    def __init__(self, call: Callable[[], None], group: Group | None) -> None:
        self.call = call
        self.group = group
        self.thread: _Thread | None = None


class _Thread:
    """A thread of the scheduler: it runs tasks while it holds the baton."""

    __slots__ = ("baton", "given")

    def __init__(self) -> None:
        self.baton = threading.Semaphore(0)
        self.given: Task | None = None


Event = tuple[float, int, "Task | Callable[[], None]"]


class Scheduler:
    """Fake time and whose turn it is."""

    def __init__(self, now: float) -> None:
        """Begin at `now`, in seconds since the epoch."""
        self.now = now
        self.current: Task | None = None
        self.steps = 0
        self._queue: list[Event] = []
        self._order = 0
        self._main = _Thread()
        self._idle: list[_Thread] = []
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._failure: BaseException | None = None
        self._unfinished = 0

    def at(self, time: float, call: Callable[[], None]) -> None:
        """Have something happen at a time; the call must not block."""
        self._push(time, call)

    def spawn(self, call: Callable[[], None], group: Group | None = None, time: float | None = None) -> None:
        """Begin a task now, or at a time."""
        self._unfinished += 1
        self._push(self.now if time is None else time, Task(call, group))

    def sleep(self, seconds: float) -> None:
        """Let others run for so long; raises `Killed` when the task's group is dead by then."""
        task = self._running()
        self._check(task)
        self._push(self.now + seconds, task)
        self._wait(task)

    def together(self, calls: Sequence[Callable[[], T]], limit: int) -> list[T]:
        """Run calls as tasks side by side, at most `limit` at a time; raise the first error once all have ended."""
        parent = self._running()
        results: dict[int, T] = {}
        errors: dict[int, Exception] = {}
        waiting = list(enumerate(calls))
        runners = min(limit, len(calls))
        left = [runners]

        def run() -> None:
            try:
                # A child whose invocation died before it began must still be counted as ended.
                self._check(self._running())
                while waiting:
                    index, call = waiting.pop(0)
                    try:
                        results[index] = call()
                    except Exception as error:  # noqa: BLE001 -- raised again in the parent, as a pool of threads does
                        errors[index] = error
            finally:
                left[0] -= 1
                if not left[0]:
                    self._push(self.now, parent)

        for _ in range(runners):
            self.spawn(run, parent.group)
        self._wait(parent)
        if errors:
            raise errors[min(errors)]
        return [results[index] for index in range(len(calls))]

    def run(self) -> None:
        """Let everything happen until nothing is left; raises what a task raised. Can be called again."""
        self._loop(self._main)
        if self._failure is not None:
            self.close()
            raise self._failure
        if self._unfinished:
            raise Deadlock(f"{self._unfinished} tasks wait for something that will not happen")

    def _running(self) -> Task:
        if self.current is None:
            raise RuntimeError("only a task of the scheduler can wait")
        return self.current

    def _push(self, time: float, what: Task | Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (time, self._order, what))

    def _check(self, task: Task) -> None:
        if self._failure is not None or (task.group is not None and task.group.dead):
            raise Killed

    def _next(self) -> Task | None:
        """Advance to the next task, carrying out what happens before; None when nothing is left."""
        while self._queue and self._failure is None:
            time, _, what = heapq.heappop(self._queue)
            self.now = max(self.now, time)
            self.steps += 1
            self.current = None
            if isinstance(what, Task):
                self.current = what
                return what
            try:
                what()
            except BaseException as error:  # noqa: BLE001 -- kept, and raised by `run`
                self._failure = error
        return None

    def _wait(self, task: Task) -> None:
        following = self._next()
        if following is not task:
            mine = task.thread
            if mine is None:
                raise RuntimeError("a task without a thread waits")
            self._hand_over(following)
            mine.baton.acquire()
        self.current = task
        self._check(task)

    def _hand_over(self, task: Task | None) -> None:
        """Let another thread go on: that of the task, or one that has nothing to do."""
        if task is None:
            self._wake_main()
        elif task.thread is not None:
            task.thread.baton.release()
        else:
            thread = self._idle.pop() if self._idle else self._new_thread()
            thread.given = task
            thread.baton.release()

    def _wake_main(self) -> None:
        if self._main in self._idle:
            self._idle.remove(self._main)
            self._main.baton.release()
            return
        # Main itself is in a task that waits for what will not happen.
        self._failure = self._failure or Deadlock("nothing is left to happen, but a task waits")
        self._main.baton.release()

    def _loop(self, thread: _Thread) -> None:
        """Run tasks on this thread; hand the baton over when it is the turn of a task on another."""
        while True:
            task = thread.given or self._next()
            thread.given = None
            if task is not None and task.thread is None:
                self._run(task, thread)
                continue
            if task is None and thread is self._main:
                return
            self._idle.append(thread)
            self._hand_over(task)
            thread.baton.acquire()
            if self._closing or (thread is self._main and thread.given is None):
                return

    def _run(self, task: Task, thread: _Thread) -> None:
        task.thread = thread
        try:
            self.current = task
            task.call()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 -- kept, and raised by `run`
            self._failure = self._failure or error
        self._unfinished -= 1

    def _new_thread(self) -> _Thread:
        made = _Thread()
        native = threading.Thread(target=partial(self._begin, made), daemon=True)
        self._threads.append(native)
        native.start()
        return made

    def _begin(self, thread: _Thread) -> None:
        thread.baton.acquire()
        if not self._closing:
            self._loop(thread)

    def close(self) -> None:
        """End the threads."""
        self._closing = True
        for thread in self._idle:
            thread.baton.release()
        if self._failure is None:
            for native in self._threads:
                native.join(timeout=10)
