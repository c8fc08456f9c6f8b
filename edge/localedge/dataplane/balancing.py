"""A request to a load balancer: rules, session, choice, and one more try where that is allowed."""

from __future__ import annotations

import random
from dataclasses import replace

from localedge.balance.affinity import Knowledge, Standing, after_failure, seat_of, session_token, standing
from localedge.balance.health import VerdictOf
from localedge.balance.model import LoadBalancer
from localedge.balance.rules import applied
from localedge.balance.steering import Choice, Chooser
from localedge.balance.topology import Topology
from localedge.balance.wirefilter import Subject
from localedge.clock import Clock
from localedge.dataplane import pages
from localedge.dataplane.answer import Answer
from localedge.dataplane.origins import Origins
from localedge.dataplane.pages import Page
from localedge.dataplane.sessions import Sessions, Ticket
from localedge.dataplane.visit import Routed, Visit

FAILOVER_STATUSES = frozenset({521, 522, 523, 525, 526})
"""Zero-downtime failover: these only. 530 and 502 of tunnels are not among them."""


class Balancing:
    """Answers visits to load balancers."""

    def __init__(self, origins: Origins, verdict: VerdictOf, chance: random.Random, clock: Clock) -> None:
        self._origins = origins
        self._verdict = verdict
        self._clock = clock
        self._sessions = Sessions(clock)
        self._chooser = Chooser(verdict, chance, origins.outstanding)

    async def answer(self, topology: Topology, balancer: LoadBalancer, visit: Visit) -> Routed:
        """Let rules speak, then an origin."""
        outcome = applied(balancer.rules, Subject(visit.host, visit.method, visit.path))
        names = tuple(balancer.rules[index].name for index in outcome.matched)
        if outcome.fixed is not None:
            return Routed(pages.fixed(outcome.fixed), rules=names)
        effective = topology.changed_by(balancer, outcome.matched)
        return replace(await self._balance(topology, effective, visit), rules=names)

    async def _balance(self, topology: Topology, balancer: LoadBalancer, visit: Visit) -> Routed:
        ticket = self._sessions.ticket(balancer, visit.headers)
        seat = seat_of(balancer, ticket.token) if ticket is not None and ticket.token else None
        choice, state = self._choose(balancer, seat, visit)
        if choice is None:
            return Routed(pages.NO_ORIGIN)
        routed = await self._ask(topology, balancer, choice, visit)
        if self._fails_over(routed) and (
            state is not Standing.HELD or after_failure(balancer.affinity) != "stop"
        ):
            other = self._elsewhere(balancer, choice, visit)
            if other is not None:
                routed = replace(await self._ask(topology, balancer, other, visit), tries=2)
                if state is Standing.HELD:
                    keeps = after_failure(balancer.affinity) == "keep"
                    state = Standing.AWAY if keeps else Standing.GONE
        return routed if ticket is None else self._settle(balancer, ticket, routed, state)

    def _choose(
        self, balancer: LoadBalancer, seat: Choice | None, visit: Visit
    ) -> tuple[Choice | None, Standing]:
        state = Standing.GONE
        if seat is not None:
            known = Knowledge(self._verdict, self._clock.epoch())
            state = standing(balancer, seat, visit.visitor, known)
            if state is Standing.HELD:
                return seat, state
        choice = self._chooser.choose(balancer, visit.visitor)
        if seat is not None and _is_last_resort(choice, seat):
            return replace(seat, on_fallback=True), Standing.HELD
        return choice, state

    async def _ask(self, topology: Topology, balancer: LoadBalancer, choice: Choice, visit: Visit) -> Routed:
        visit.sent_to.append(choice)
        result = await self._origins.reach(topology, balancer.zone_id, choice, visit)
        return Routed(result, choice, choice.origin.tunnel_id)

    @staticmethod
    def _fails_over(routed: Routed) -> bool:
        return isinstance(routed.result, Page) and routed.status in FAILOVER_STATUSES

    def _elsewhere(self, balancer: LoadBalancer, failed: Choice, visit: Visit) -> Choice | None:
        tried = frozenset({failed.origin.address})
        beside = self._chooser.choose_beside(failed, visit.visitor, tried)
        if beside is not None or not balancer.failover_across_pools:
            return beside
        return self._chooser.choose(balancer, visit.visitor, tried=tried)

    def _settle(self, balancer: LoadBalancer, ticket: Ticket, routed: Routed, state: Standing) -> Routed:
        if state is Standing.AWAY:
            return replace(routed, session="away")
        if routed.choice is None or not isinstance(routed.result, Answer):
            # No session begins with an error page of the edge.
            return routed
        token = session_token(balancer.id, routed.choice.pool, routed.choice.origin)
        fresh = state is Standing.GONE
        set_cookie = self._sessions.keep(balancer, ticket, token, fresh=fresh)
        return replace(routed, cookie=set_cookie, session="new" if fresh else "held")


def _is_last_resort(choice: Choice | None, seat: Choice) -> bool:
    """Tell whether a session stays in the fallback pool, whose health nobody asks."""
    return (
        choice is not None and choice.on_fallback and choice.pool.id == seat.pool.id and seat.origin.enabled
    )
