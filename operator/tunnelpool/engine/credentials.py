"""Which Secret opens which account. Secrets are read, not watched: any plain Secret will do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tunnelpool.domain.errors import ApiError, CredentialsError, NotFoundError, RetryableError
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.engine.failures import problem_of
from tunnelpool.engine.ports import Account, Clock, Cloud, Clouds, Cluster

TOKEN_KEY: Final = "apiToken"  # noqa: S105 - the name of a key, not a token
ACCOUNT_KEY: Final = "accountId"
REREAD_S: Final = 60.0
"""How soon a changed Secret is noticed."""
RETRY_S: Final = 5.0
"""How soon a missing or refused one is looked at again; twice as late each time, up to `REREAD_S`."""
PARTING_S: Final = 60.0
"""How much later than its Secret a resource may be deleted and still be taken apart with what that held."""


@dataclass(frozen=True, slots=True, order=True)
class SecretRef:
    """A Secret with credentials."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An account that can be asked."""

    account_id: str
    cloud: Cloud


@dataclass(slots=True)
class _Entry:
    answer: Opened | Problem
    account: Account | None
    """The last one that the Secret has named."""
    read_at: float
    failures: int = 0
    """In a row."""
    doubted: bool = False
    """Whether the token has to be verified again."""
    last: Opened | None = None
    """What the Secret opened before it was gone, and since when (seconds since the epoch) it is."""
    gone_at: float = 0.0


class Credentials:
    """Answers from memory; `refresh` reads again what is due and tells what has changed."""

    def __init__(self, cluster: Cluster, clouds: Clouds, clock: Clock, default: SecretRef) -> None:
        self._cluster = cluster
        self._clouds = clouds
        self._clock = clock
        self._default = default
        self._entries: dict[SecretRef, _Entry] = {}
        self._locks: dict[SecretRef, asyncio.Lock] = {}
        self.on_change: Callable[[SecretRef], None] = lambda _: None
        self.on_token: Callable[[str], None] = lambda _: None
        """Told of each token before it is used, so that logs can mask it."""

    def ref(self, namespace: str, name: str | None) -> SecretRef:
        """Find the Secret of a resource: the one that it names in its own namespace, else the default."""
        return SecretRef(namespace, name) if name else self._default

    def account_id(self, ref: SecretRef) -> str:
        """Name the account as far as it is known: for keys, which must not wait."""
        entry = self._entries.get(ref)
        if entry is not None and entry.account is not None:
            return entry.account.id
        return f"?{ref.namespace}.{ref.name}"

    def opened(self) -> tuple[Opened, ...]:
        """List the accounts that can be asked, each once."""
        found = {
            e.answer.account_id: e.answer for e in self._entries.values() if isinstance(e.answer, Opened)
        }
        return tuple(found.values())

    async def open(self, ref: SecretRef) -> Opened | Problem:
        """Open the account of a Secret, or say why it cannot be opened."""
        entry = self._entries.get(ref)
        if entry is not None and not self._due(entry, failed_only=True):
            return entry.answer
        return await self._read(ref)

    def last_opened(self, ref: SecretRef, deleted_at: float) -> Opened | None:
        """Find what a Secret opened which is gone, for a resource that was deleted together with it.

        A namespace is deleted with all that is in it, and its Secrets do not wait for what needs them.
        `deleted_at` is in seconds since the epoch.
        """
        entry = self._entries.get(ref)
        if entry is None or deleted_at > entry.gone_at + PARTING_S:
            return None
        return entry.last

    def doubt(self, account_id: str) -> None:
        """Have the tokens of an account verified again: one of them was refused."""
        for entry in self._entries.values():
            if isinstance(entry.answer, Opened) and entry.answer.account_id == account_id:
                entry.doubted = True

    async def refresh(self) -> None:
        """Read again the Secrets that are due."""
        for ref, entry in tuple(self._entries.items()):
            if self._due(entry, failed_only=False):
                await self._read(ref)

    def _due(self, entry: _Entry, *, failed_only: bool) -> bool:
        age_s = self._clock.monotonic() - entry.read_at
        if isinstance(entry.answer, Problem):
            return age_s >= min(RETRY_S * 2.0 ** min(entry.failures - 1, 8), REREAD_S)
        return not failed_only and age_s >= (RETRY_S if entry.doubted else REREAD_S)

    async def _read(self, ref: SecretRef) -> Opened | Problem:
        lock = self._locks.setdefault(ref, asyncio.Lock())
        asked_at = self._clock.monotonic()
        async with lock:
            before = self._entries.get(ref)
            if before is not None and before.read_at >= asked_at:
                return before.answer  # another caller has read it while we waited
            entry = await self._load(ref, before)
            failed = isinstance(entry.answer, Problem)
            entry.failures = (before.failures if before else 0) + 1 if failed else 0
            self._entries[ref] = entry
        if before is None or before.account != entry.account or _differs(before.answer, entry.answer):
            self.on_change(ref)
        return entry.answer

    async def _load(self, ref: SecretRef, before: _Entry | None) -> _Entry:
        now = self._clock.monotonic()
        try:
            data = await self._cluster.secret(ref.namespace, ref.name)
        except NotFoundError:
            return self._gone(_missing(ref, "must exist"), before)
        except ApiError as error:
            if before is not None:
                return replace(before, read_at=now)  # a sick cluster API changes nothing
            return _Entry(problem_of(error), None, now)
        for key in (TOKEN_KEY, ACCOUNT_KEY):
            if not data.get(key, b"").strip():
                return self._gone(_missing(ref, f"must have the key '{key}'"), before)
        account = Account(_text(data[ACCOUNT_KEY]), _text(data[TOKEN_KEY]))
        self.on_token(account.token)
        known = before is not None and before.account == account and isinstance(before.answer, Opened)
        if before is not None and known and not before.doubted:
            return replace(before, read_at=now)
        return await self._enter(ref, account)

    async def _enter(self, ref: SecretRef, account: Account) -> _Entry:
        now = self._clock.monotonic()
        try:
            cloud = self._clouds.account(account)
            doubted = await _not_verified(cloud)
        except CredentialsError as error:
            message = f"Cloudflare refuses the token of Secret '{ref.namespace}/{ref.name}': {error.message}"
            return _Entry(Problem(Reason.CREDENTIALS_INVALID, message, stalled=True), account, now)
        except ApiError as error:
            return _Entry(problem_of(error), account, now)
        return _Entry(Opened(account.id, cloud), account, now, doubted=doubted)

    def _gone(self, problem: Problem, before: _Entry | None) -> _Entry:
        now = self._clock.monotonic()
        if before is None:
            return _Entry(problem, None, now)
        if isinstance(before.answer, Opened):
            return _Entry(problem, before.account, now, last=before.answer, gone_at=self._clock.now())
        return replace(before, answer=problem, read_at=now)


async def _not_verified(cloud: Cloud) -> bool:
    """Tell whether a token is still to be verified: Cloudflare does not answer, which speaks not against it.

    What cannot be read without an answer says so itself.

    Raises:
        CredentialsError: the token is refused.

    """
    try:
        await cloud.verify()
    except RetryableError:
        return True
    return False


def _text(value: bytes) -> str:
    """Decode what a person has put in; what is no text is refused as a token, not as a bug."""
    return value.decode(errors="replace").strip()


def _differs(before: Opened | Problem, after: Opened | Problem) -> bool:
    return before != after if isinstance(before, Problem) or isinstance(after, Problem) else False


def _missing(ref: SecretRef, what: str) -> Problem:
    message = (
        f"Secret '{ref.namespace}/{ref.name}' {what}: create it with the keys '{TOKEN_KEY}' and "
        f"'{ACCOUNT_KEY}', or name another by `credentialsRef`"
    )
    return Problem(Reason.CREDENTIALS_MISSING, message, stalled=True)
