"""The worker loop: decide, do, look again, until nothing is left to do; then tell.

A plan holds only what can be done now, so a key is looked at again after its steps, and each pass
starts from what the last one has left behind. That is also all there is to crash safety: the next start
is just one more pass.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from tunnelpool.build.status import pending
from tunnelpool.crd.parsing import InvalidResourceError, parse
from tunnelpool.domain.errors import (
    ApiError,
    NamespaceEndingError,
    NotFoundError,
    NotYetError,
    RefusedError,
    RestlessError,
    RetryableError,
    StaleError,
    WaitingError,
)
from tunnelpool.domain.keys import Key
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.engine.backoff import Backoff
from tunnelpool.engine.decide import Decider, Decision, StatusWrite
from tunnelpool.engine.declined import Declined
from tunnelpool.engine.failures import problem_of
from tunnelpool.engine.gathering import Gathering
from tunnelpool.engine.ports import Clock, Cluster
from tunnelpool.engine.queue import Lane, WorkQueue
from tunnelpool.engine.repetition import Repetition
from tunnelpool.engine.shared_writes import SharedWrites, changes_shared, is_same
from tunnelpool.engine.store import Store
from tunnelpool.engine.telling import Telling
from tunnelpool.engine.topology import Topology
from tunnelpool.engine.transitions import events_of
from tunnelpool.engine.unseen import told_unseen
from tunnelpool.plan.render import describe
from tunnelpool.plan.steps import (
    CloseConnections,
    Create,
    Delete,
    DeleteObject,
    PutConfiguration,
    RotateSecret,
    SetFinalizer,
    Step,
    Update,
    WriteConnectorSecret,
)

_log: Final = logging.getLogger(__name__)
_PASSES: Final = 12
"""More passes than any aggregate needs; a plan that does not end waits and says so (`Restless`)."""
_WAIT_S: Final = 5.0
"""How soon something that waits for another object is looked at again, should no event come."""
_LONGEST_WAIT_S: Final = 60.0
"""To which that grows while it goes on waiting."""
_PATIENCE: Final = 3
"""So often in a row an object may have changed under our hands before it is told."""
_REFUSED_S: Final = 60.0
"""How soon what was refused is tried again: a dashboard may have been used meanwhile."""


_HELD: Final = (
    "not deleted: %d of %d objects at Cloudflare carry our mark and belong to no resource, too many to be "
    "meant; apply the resources again, or set massDeletion (TUNNELPOOL_MASS_DELETION) to true to have all of "
    "them deleted"
)


class Meter(Protocol):
    """What the controller counts."""

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Count one reconciliation: `ok`, `waiting`, `held`, `refused`, `retry`, `restless` or `bug`."""

    def stepped(self, step: Step) -> None:
        """Count one step that was carried out."""


class Controller:
    """Workers over the queue."""

    def __init__(
        self,
        *,
        store: Store,
        queue: WorkQueue[Key],
        topology: Topology,
        decider: Decider,
        cluster: Cluster,
        clock: Clock,
        failures: dict[Key, Problem],
        meter: Meter,
    ) -> None:
        self._store = store
        self._queue = queue
        self._topology = topology
        self._decider = decider
        self._cluster = cluster
        self._clock = clock
        self._failures = failures
        self._meter = meter
        self._backoff = Backoff()
        self._repetition = Repetition(clock)
        self._shared = SharedWrites(clock)
        self._declined = Declined(clock)
        self._telling = Telling(clock)
        self._gathering = Gathering(clock)
        self._begun: dict[Key, float] = {}
        self._wrote: set[Key] = set()
        """Keys that have taken a step since they were begun: only then their neighbours see something new."""

    def longest_s(self) -> float:
        """Tell for how long the slowest worker has been at its key."""
        return self._clock.monotonic() - min(self._begun.values(), default=self._clock.monotonic())

    async def work(self) -> None:
        """Take keys and reconcile them until the queue is closed."""
        while (key := await self._queue.get()) is not None:
            started = self._begun[key] = self._clock.monotonic()
            result = "bug"
            try:
                result = await self._reconcile(key)
            except Exception:  # noqa: BLE001 - one key's bug must not end the worker of all others
                _log.exception("reconciliation failed unexpectedly", extra={"key": str(key)})
                self._queue.add_after(key, self._backoff.next(key))
            finally:
                del self._begun[key]
                self._queue.done(key)
                kind = str(key).partition("/")[0]
                self._meter.reconciled(kind, result, self._clock.monotonic() - started)
            # At rest nothing above waits for anything: a start over a thousand resources would keep the
            # lease from being renewed.
            await asyncio.sleep(0)

    async def _reconcile(self, key: Key) -> str:
        self._queue.forget_delay(key)
        self._wrote.discard(key)
        before = self._failures.get(key)
        concerned: set[Key] = set()
        try:
            await self._shared.look_after(key)
            decision = await self._decide(key)
            decision = await self._first_touch(key, decision)
            for _ in range(_PASSES):
                if not decision.steps:
                    break
                concerned |= decision.concerned
                await self._take(key, decision)
                self._failures.pop(key, None)
                decision = await self._decide(key)
            else:
                if decision.steps:
                    raise RestlessError(f"the plan does not end in {_PASSES} passes: please report this bug")
        except ApiError as error:
            return await self._failed(key, error, concerned, before=before)
        if self._failures.pop(key, None) is not None:
            decision = await self._decide(key)
        if key in self._wrote or before is not None:
            self._wake(key, concerned)
        try:
            await self._tell(key, decision)
        except ApiError as error:
            _log.warning("status not written", extra={"key": str(key), "error": error.message})
            self._queue.add_after(key, self._backoff.next(key))
            return "retry"
        self._backoff.reset(key)
        self._declined.forget(key)
        self._again(key, decision)
        if decision.held is not None:
            held = decision.held
            _log.warning(_HELD, held.remains, held.owned, extra={"key": str(key)})
            return "held"
        return "ok" if decision.problem is None else "waiting"

    async def _decide(self, key: Key) -> Decision:
        return self._gathering.paced(key, await self._decider.decide(key))

    async def _first_touch(self, key: Key, decision: Decision) -> Decision:
        """Say `Ready=Unknown` before any call for a resource that has no conditions yet (law 8)."""
        touched = False
        for write in decision.statuses:
            if (write.raw.get("status") or {}).get("conditions"):
                continue
            try:
                resource = parse(write.kind, write.raw)
            except InvalidResourceError:
                continue
            await self._write(
                StatusWrite(
                    write.kind, write.raw, pending(resource, datetime.fromtimestamp(self._clock.now(), UTC))
                )
            )
            touched = True
        return await self._decide(key) if touched else decision

    async def _take(self, key: Key, decision: Decision) -> None:
        """Take the steps of a decision. What others write as well is looked at first, and decided again."""
        for number, step in enumerate(decision.steps):
            if not changes_shared(step):
                await self._execute(key, step, decision)
                continue
            if number == 0 and decision.cloud is not None:
                await self._shared.look(step, decision.cloud)
                now = await self._decider.decide(key)
                if now.steps and is_same(now.steps[0], step):
                    await self._execute(key, now.steps[0], now)
            return  # in the next pass it is the first

    async def _execute(self, key: Key, step: Step, decision: Decision) -> None:
        self._declined.check(key, step, decision.cloud)
        self._repetition.check(key, step)
        _log.info("%s", describe(step), extra={"key": str(key)})
        if isinstance(step, (Create, Update, Delete, PutConfiguration, RotateSecret, CloseConnections)):
            if decision.cloud is None:
                raise ValueError("a remote step without an account")
            await decision.cloud.execute(step)
        else:
            token = None
            if isinstance(step, WriteConnectorSecret) and decision.cloud is not None:
                token = await decision.cloud.token(step.tunnel_id)
            answer = await self._cluster.execute(step, token=token)
            self._remember(step, answer)
        self._declined.done(key)
        self._repetition.note(key, step)
        self._wrote.add(key)
        self._shared.wrote(key, step, decision.cloud)
        self._meter.stepped(step)

    def _remember(self, step: Step, answer: Mapping[str, Any] | None) -> None:
        """Put our own write into the store, so that the next pass sees it before the watch brings it."""
        if answer is not None:
            self._store.put(str(answer["kind"]), answer)
        elif isinstance(step, (DeleteObject, SetFinalizer)):
            ref = step.ref
            self._store.remove(ref.kind, ref.namespace, ref.name, ref.uid)

    async def _tell(self, key: Key, decision: Decision) -> None:
        for write in decision.statuses:
            current = self._store.get(
                write.kind, write.raw["metadata"]["namespace"], write.raw["metadata"]["name"]
            )
            if current is None or current["metadata"].get("uid") != write.raw["metadata"].get("uid"):
                continue
            told = current.get("status") or {}
            if told != write.status:
                wait_s = self._telling.wait_s(current["metadata"].get("uid"), told, write.status)
                if wait_s is not None:
                    self._queue.add_after(key, wait_s, Lane.USER)
                    continue
                await self._write(write)
                # Behind the status, which says what has been told: a restart tells nothing twice.
                for event in events_of(write.kind, told, write.status):
                    await self._cluster.event(
                        current, reason=event.reason, message=event.message, warning=event.warning
                    )

    async def _write(self, write: StatusWrite) -> None:
        meta = write.raw["metadata"]
        answer = await self._cluster.write_status(write.kind, meta["namespace"], meta["name"], write.status)
        if answer is not None:
            self._store.put(write.kind, answer, own_status=True)

    async def _failed(
        self, key: Key, error: ApiError, concerned: AbstractSet[Key], *, before: Problem | None
    ) -> str:
        """Keep the reason, say it, and choose when to look again."""
        if isinstance(error, NotYetError):
            result, wait_s = "retry", error.retry_after_s
        else:
            result, wait_s = self._judge(key, error)
            self._declined.note(key, error, wait_s)
        self._queue.add_after(key, wait_s)
        if key in self._wrote or _reason(self._failures.get(key)) != _reason(before):
            self._wake(key, concerned)
        try:
            await self._tell(key, await self._tellable(key))
        except ApiError as again:
            _log.debug("status cannot be told yet: %s", again.message, extra={"key": str(key)})
        return result

    def _judge(self, key: Key, error: ApiError) -> tuple[str, float]:
        """Say what has come of the attempt and for how long to wait: longer each time, with jitter."""
        wait_s = self._backoff.next(key)
        log = _log.info if isinstance(error, NamespaceEndingError) else _log.warning
        log("%s", error.message, extra={"key": str(key), "code": error.code})
        if isinstance(error, NamespaceEndingError):
            return "waiting", max(wait_s, _WAIT_S)  # nothing to tell: it goes with its namespace
        if isinstance(error, (StaleError, NotFoundError)) and self._backoff.failures(key) <= _PATIENCE:
            return "retry", wait_s  # what has changed meanwhile is seen by the next look
        if self._decider.learn(key, error):
            return "refused", wait_s  # what can be done all the same is decided next, and says why
        self._failures[key] = problem_of(error)
        match error:
            case WaitingError():
                return "waiting", min(max(wait_s, _WAIT_S), _LONGEST_WAIT_S)
            case RefusedError():
                return "refused", max(wait_s, _REFUSED_S)
            case RestlessError():
                return "restless", wait_s
            case RetryableError() if error.retry_after_s is not None:
                return "retry", max(wait_s, error.retry_after_s)
            case _:
                return "retry", wait_s

    async def _tellable(self, key: Key) -> Decision:
        """Decide what can be told after a failure, if need be without a look at Cloudflare."""
        try:
            return await self._decider.decide(key)
        except ApiError:
            now = datetime.fromtimestamp(self._clock.now(), UTC)
            return told_unseen(self._topology, key, self._failures.get(key), now)

    def _again(self, key: Key, decision: Decision) -> None:
        for abandoned in decision.abandoned:
            self._queue.add(abandoned, Lane.SWEEP)
        look_s = self._shared.next_s(key)
        if look_s is not None:
            self._queue.add_after(key, look_s)
        if decision.recheck_s is not None:
            self._queue.add_after(key, decision.recheck_s, Lane.TRAFFIC)
        elif decision.problem is not None and decision.cloud is None:
            self._queue.add_after(key, _WAIT_S)  # credentials: they are read again when asked for

    def _wake(self, key: Key, concerned: AbstractSet[Key]) -> None:
        for neighbour in (self._topology.neighbours(key) | concerned) - {key}:
            self._queue.add(neighbour, Lane.USER)


def _reason(problem: Problem | None) -> Reason | None:
    """Compare failures by this: words may change with each attempt."""
    return problem.reason if problem is not None else None


async def run_workers(controller: Controller, count: int) -> None:
    """Run so many workers until the queue is closed; an unexpected end of one ends all."""
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(controller.work())
