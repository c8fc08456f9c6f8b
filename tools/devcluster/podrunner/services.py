"""Services: an address in 127/8 for each, a forwarder to its ready pods, and the lines of /etc/hosts."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from devcluster.loopback import AddressPool
from devcluster.podrunner.forwarding import Forwarder
from devcluster.podrunner.informer import object_key
from devcluster.podrunner.probes import port_number
from devcluster.podrunner.scheduling import matches

Json = dict[str, Any]
Endpoint = tuple[str, int]

DOMAIN = "cluster.local"
log = logging.getLogger(__name__)


@dataclass
class Published:
    """A Service as pods see it. `address` is empty for a headless one: its names are those of its pods."""

    service: Json
    address: str
    forwarders: dict[int, Forwarder] = field(default_factory=dict)


class Services:
    """Keeps forwarders in step with Services. `pods` gives all pods, `on_change` is told of new names."""

    def __init__(
        self,
        pool: AddressPool,
        apiserver: Endpoint,
        pods: Callable[[], Collection[Json]],
        on_change: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._apiserver = apiserver
        self._pods = pods
        self._on_change = on_change
        self._published: dict[tuple[str, str], Published] = {}
        self._work: asyncio.Queue[tuple[Json, bool]] = asyncio.Queue()
        self._turn = itertools.count()

    def take(self, service: Json, gone: bool) -> None:
        """Take a Service that has appeared, changed or gone."""
        self._work.put_nowait((service, gone))

    async def run(self) -> None:
        """Open and close forwarders until cancelled, then close all."""
        try:
            while True:
                service, gone = await self._work.get()
                await (self._withdraw(service) if gone else self._publish(service))
                self._on_change()
        finally:
            for published in self._published.values():
                for forwarder in published.forwarders.values():
                    forwarder.close()

    def hosts_lines(self, namespace: str) -> list[str]:
        """Return the lines of /etc/hosts for pods of `namespace`, whose own Services have short names too."""
        lines = []
        for (home, name), published in sorted(self._published.items()):
            names = [f"{name}.{home}.svc.{DOMAIN}", f"{name}.{home}.svc", f"{name}.{home}"]
            if home == namespace:
                names.append(name)
            addresses = [published.address] if published.address else self._pod_addresses(published.service)
            lines += [f"{address}\t{' '.join(names)}" for address in addresses]
        return lines

    def address(self, namespace: str, name: str) -> str | None:
        """Return the address of a Service; None if there is none by that name, or it is headless."""
        published = self._published.get((namespace, name))
        return published.address or None if published else None

    @property
    def has_headless(self) -> bool:
        """Whether names follow the readiness of pods."""
        return any(not published.address for published in self._published.values())

    async def _publish(self, service: Json) -> None:
        key = object_key(service)
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            log.warning("service %s/%s: ExternalName is not emulated", *key)
            return
        headless = spec.get("clusterIP") == "None"
        published = self._published.get(key)
        if published is None:
            published = Published(service, "" if headless else self._pool.take())
            self._published[key] = published
        published.service = service
        wanted = {} if headless else {port["port"]: port for port in spec.get("ports", ())}
        for number in set(published.forwarders) - set(wanted):
            published.forwarders.pop(number).close()
        for number, port in wanted.items():
            if number not in published.forwarders:
                await self._listen(key, published, port)

    async def _listen(self, key: tuple[str, str], published: Published, port: Json) -> None:
        if port.get("protocol", "TCP") != "TCP":
            log.warning("service %s/%s: %s is not emulated", *key, port["protocol"])
            return
        number = port["port"]
        forwarder = Forwarder(lambda: self._choose(key, number))
        try:
            await forwarder.listen(published.address, number)
        except PermissionError:
            log.warning(
                "service %s/%s: this user may not listen on port %s; use a port from 1024 on, or lower "
                "net.ipv4.ip_unprivileged_port_start",
                *key,
                number,
            )
        except OSError as error:
            log.warning("service %s/%s: %s", *key, error)
        else:
            published.forwarders[number] = forwarder

    async def _withdraw(self, service: Json) -> None:
        published = self._published.pop(object_key(service), None)
        if published:
            for forwarder in published.forwarders.values():
                forwarder.close()
            if published.address:
                self._pool.give_back(published.address)

    def _choose(self, key: tuple[str, str], number: int) -> Endpoint | None:
        """Return the next of the ready endpoints of a port, round robin; None if there is none."""
        if key == ("default", "kubernetes"):
            return self._apiserver
        service = self._published[key].service
        port = next(port for port in service["spec"]["ports"] if port["port"] == number)
        endpoints = endpoints_of(service, port, self._pods())
        return endpoints[next(self._turn) % len(endpoints)] if endpoints else None

    def _pod_addresses(self, service: Json) -> list[str]:
        return [pod["status"]["podIP"] for pod in selected(service, self._pods())]


def endpoints_of(service: Json, port: Json, pods: Collection[Json]) -> list[Endpoint]:
    """Address and port of each pod that serves a port of a Service, in the order of their names."""
    target: int | str = port["targetPort"] if "targetPort" in port else port["port"]
    found = []
    for pod in selected(service, pods):
        for container in pod["spec"]["containers"]:
            try:
                found.append((pod["status"]["podIP"], port_number(target, container)))
            except ValueError:
                continue
            break
    return found


def selected(service: Json, pods: Collection[Json]) -> list[Json]:
    """Return the ready pods of a Service; if none is, those that are ready but ending, as kube-proxy does."""
    selector = service["spec"].get("selector")
    if not selector:
        return []
    namespace = service["metadata"]["namespace"]
    candidates = sorted(
        (
            pod
            for pod in pods
            if pod["metadata"]["namespace"] == namespace
            and matches({"matchLabels": selector}, pod["metadata"].get("labels", {}))
            and pod.get("status", {}).get("podIP")
        ),
        key=lambda pod: str(pod["metadata"]["name"]),
    )
    if service["spec"].get("publishNotReadyAddresses"):
        return candidates
    ready = [pod for pod in candidates if _is_ready(pod)]
    return [pod for pod in ready if "deletionTimestamp" not in pod["metadata"]] or ready


def _is_ready(pod: Json) -> bool:
    return any(
        item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions", ())
    )
