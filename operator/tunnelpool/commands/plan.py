"""`tunnelpool plan`: read the cluster, the manifests and Cloudflare, and say what would be written.

Only GET requests are sent, to either API.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from tunnelpool.cloudflare.account import CloudAccounts
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.transport import Transport
from tunnelpool.commands.installation import Installation, installation
from tunnelpool.commands.reach import Reach, list_all, reach
from tunnelpool.domain.errors import ApiError, ClusterRefusedError, NotFoundError
from tunnelpool.domain.keeping import kept
from tunnelpool.domain.keys import Key
from tunnelpool.domain.kinds import SERVICE, STATEFUL_SET, WATCHED
from tunnelpool.domain.ownership import CLUSTER_NAME, Owner
from tunnelpool.engine.clock import SystemClock
from tunnelpool.engine.credentials import ACCOUNT_KEY, TOKEN_KEY, SecretRef
from tunnelpool.engine.site import owner_of_cluster, site_of
from tunnelpool.engine.store import Raw, Store
from tunnelpool.engine.topology import KINDS
from tunnelpool.preview.cluster import GivenSecrets
from tunnelpool.preview.manifests import Given, ManifestError, lay_over, read
from tunnelpool.preview.names import Names
from tunnelpool.preview.passing_time import PassingTime
from tunnelpool.preview.report import Preview, only_cloudflare
from tunnelpool.preview.simulation import Finding, Outcome, Simulation

TOKEN_VARIABLE: Final = "CLOUDFLARE_API_TOKEN"  # noqa: S105 - the name of a variable, not a token
ACCOUNT_VARIABLE: Final = "CLOUDFLARE_ACCOUNT_ID"
_NOBODY: Final = Owner("new-cluster", "00000000")
_ASSUMED: Final = "connectors that would start are taken to connect, new origins to pass their health check"
_REFERRED: Final = (STATEFUL_SET, SERVICE)
"""Watched for what may refer to them; Deployments are listed for connectors as well."""
_NO_CLUSTER: Final = "the cluster was not looked at: only what happens at Cloudflare is shown"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is asked. Without `documents` the resources of the namespace are planned as they are."""

    documents: Sequence[tuple[str, str]] | None
    """Pairs of a file's name and its text."""
    namespace: str
    every_namespace: bool = False
    prune: bool = False
    use_cluster: bool = True
    kubeconfig: str = ""
    operator_namespace: str = "tunnelpool-system"
    owner: str = ""
    """`name/uid8`; empty to ask the cluster."""


class PlanError(Exception):
    """There is no plan; the message says why."""


async def plan(request: PlanRequest, environment: Mapping[str, str]) -> Preview:
    """Make the plan.

    Raises:
        PlanError: an option makes no sense.
        ManifestError: a manifest would be refused.
        ApiError: something that had to be read could not be.
        SettingsError: a TUNNELPOOL_… variable is refused.

    """
    given = read(request.documents or (), request.namespace)
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(reach(request.kubeconfig)) if request.use_cluster else None
        setup = await installation(there.client if there else None, request.operator_namespace, environment)
        transport = Transport(
            CloudflareSettings(api_url=setup.settings.api_url),
            SystemClock(),
            user_agent=f"tunnelpool-plan/{importlib.metadata.version('tunnelpool')}",
        )
        clouds = CloudAccounts(transport)
        stack.push_async_callback(clouds.aclose)
        store, notes = Store(), list(_setup_notes(there, setup))
        if there is not None:
            notes += await _fill(store, there, given, sorted(_namespaces(request, given)))
        clock, names, own = PassingTime(), Names(), _own_secret(setup)
        simulation = Simulation(
            store,
            site=site_of(setup.settings, await _owner(request, there, setup), setup.ca),
            clouds=clouds,
            secrets=GivenSecrets(
                there.cluster if there else None, own, _from_environment(environment), given.secrets
            ),
            own=own,
            clock=clock,
            names=names,
        )
        scope = _Scope(request, given)
        await simulation.open()
        keys: frozenset[Key] = simulation.keys_of(scope.resources(store))
        changes = lay_over(store, given, clock.now(), prune=request.prune)
        await simulation.open()
        if request.every_namespace:
            keys |= await simulation.remains()
        followed = [(str(raw["kind"]), raw) for raw in given.followed]
        keys |= simulation.keys_of([*scope.resources(store), *followed])
        outcome = await simulation.run(keys)
        outcome = Outcome(outcome.items, tuple(filter(scope.covers, outcome.findings)))
        if there is None:
            outcome, changes = only_cloudflare(outcome), ()
        assumed = [_ASSUMED] if outcome.items else []
        return Preview(changes, outcome, names, (*assumed, *notes))


class _Scope:
    """Which resources the plan is about: those of a namespace, or those that the manifests name."""

    def __init__(self, request: PlanRequest, given: Given) -> None:
        self._request = request
        self._given = {(str(raw["kind"]), *_place(raw)) for raw in given.resources}
        self._namespaces = _namespaces(request, given)

    def resources(self, store: Store) -> list[tuple[str, Raw]]:
        """List what the store holds of them, by kind."""
        return [(kind, raw) for kind in KINDS for raw in store.all(kind) if self._has(kind, *_place(raw))]

    def covers(self, finding: Finding) -> bool:
        """Tell whether a finding is about one of them."""
        return self._has(finding.kind, finding.namespace, finding.name)

    def _has(self, kind: str, namespace: str, name: str) -> bool:
        if self._request.every_namespace:
            return True
        if self._request.documents is None or self._request.prune:
            return namespace in self._namespaces
        return (kind, namespace, name) in self._given


def _namespaces(request: PlanRequest, given: Given) -> frozenset[str]:
    if request.documents is None:
        return frozenset({request.namespace})
    return frozenset(_place(raw)[0] for raw in (*given.resources, *given.followed))


def _setup_notes(there: Reach | None, setup: Installation) -> Iterable[str]:
    if there is None:
        yield _NO_CLUSTER
    elif not setup.found:
        yield (
            f"no operator is in namespace {setup.settings.namespace}: its settings are taken for the "
            "defaults and your TUNNELPOOL_… variables; name its namespace by --operator-namespace"
        )


def _referred(store: Store, given: Given) -> set[str]:
    """Tell which kinds of what others own are referred to: whoever follows none needs no right to list it."""
    specs = [raw.get("spec") or {} for kind in KINDS for raw in store.all(kind)]
    specs += [raw.get("spec") or {} for raw in given.resources]
    found = {(spec.get("workloadRef") or {}).get("kind", "") for spec in specs}
    if any("serviceRef" in origin for spec in specs for origin in spec.get("origins") or ()):
        found.add(SERVICE.name)
    return found


async def _fill(store: Store, there: Reach, given: Given, namespaces: Sequence[str]) -> list[str]:
    """Put into the store what the operator would watch; answer with what the reader must know of that.

    Raises:
        ApiError: the cluster cannot be read even in these namespaces.

    """
    notes = []
    narrow = False
    for kind in WATCHED:
        if kind in _REFERRED and kind.name not in _referred(store, given):
            continue
        places = list(namespaces) if narrow else [""]
        try:
            found = [raw for place in places for raw in await list_all(there.cluster, kind, place)]
        except NotFoundError:
            if kind.name not in KINDS:
                raise
            notes.append(f"the cluster does not know {kind.plural} yet: it is taken to have none")
            continue
        except ClusterRefusedError:
            if narrow:
                raise
            narrow = True
            notes.append(
                f"you may not list {kind.plural} in all namespaces: claims from outside of "
                f"{', '.join(namespaces)} are not seen"
            )
            found = [raw for place in namespaces for raw in await list_all(there.cluster, kind, place)]
        for raw in found:
            store.put(kind.name, kept(kind.name, raw))
    return notes


async def _owner(request: PlanRequest, there: Reach | None, setup: Installation) -> Owner:
    """Tell whose objects are ours; without a cluster and a word nobody's are."""
    if request.owner:
        name, _, uid = request.owner.partition("/")
        if not CLUSTER_NAME.match(name) or len(uid) != 8:  # noqa: PLR2004 - as the marks have it
            raise PlanError(
                f"--owner must be 'name/uid' as in the marks at Cloudflare, not '{request.owner}'"
            )
        return Owner(name, uid)
    if there is None:
        return _NOBODY
    return owner_of_cluster(setup.settings, await there.cluster.uid_of_cluster())


def _own_secret(setup: Installation) -> SecretRef:
    return SecretRef(setup.settings.namespace, setup.settings.credentials_secret)


def _from_environment(environment: Mapping[str, str]) -> Mapping[str, bytes] | None:
    """Take credentials from the variables of Cloudflare's own tools.

    Raises:
        PlanError: only one of the two is set.

    """
    token, account = environment.get(TOKEN_VARIABLE, ""), environment.get(ACCOUNT_VARIABLE, "")
    if not token and not account:
        return None
    if not token or not account:
        missing = ACCOUNT_VARIABLE if token else TOKEN_VARIABLE
        raise PlanError(f"{missing} must be set too: an account and its token belong together")
    return {TOKEN_KEY: token.encode(), ACCOUNT_KEY: account.encode()}


def _place(raw: Raw) -> tuple[str, str]:
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]


PLAN_FAILURES: Final = (ApiError, ManifestError, PlanError)
"""What a plan may fail by, with a message for people."""
