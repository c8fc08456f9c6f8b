"""Starts the control plane, waits until it serves, stops it in the reverse order."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path

import aiohttp

from devcluster.api import TRANSIENT, Api, ApiError
from devcluster.controlplane import arguments
from devcluster.controlplane.arguments import Endpoints, Files
from devcluster.controlplane.certificates import Authority, write_signing_pair
from devcluster.controlplane.kubeconfig import kubeconfig, write_kubeconfig
from devcluster.loopback import LoopbackBlock, free_port
from devcluster.processes import Launch, Process, launch

READY_TIMEOUT_S = 60.0
POLL_S = 0.1
STOP_GRACE_S = 10.0


class ControlPlaneError(RuntimeError):
    """A part of the control plane ended or did not become ready; the message has its last lines."""


class ControlPlane:
    """etcd, kube-apiserver and kube-controller-manager of one cluster, in `folder`."""

    def __init__(
        self, block: LoopbackBlock, folder: Path, etcd: Path, kubernetes: Path, node_grace_s: int
    ) -> None:
        self.files = Files(folder)
        address = block.control_plane
        self.endpoints = Endpoints(address, *(free_port(address) for _ in range(4)))
        self._etcd = etcd
        self._kubernetes = kubernetes
        self._node_grace_s = node_grace_s
        self._running: list[tuple[str, Process]] = []

    def write_files(self) -> None:
        """Certificates, kubeconfigs and the audit policy, all of this run only."""
        files, server = self.files, self.endpoints.server
        files.pki.mkdir(parents=True)
        files.log("etcd").parent.mkdir(parents=True, exist_ok=True)
        files.audit_policy.write_text(arguments.AUDIT_POLICY)
        serving, clients = Authority("devcluster"), Authority("devcluster-clients")
        serving.write(files.ca)
        clients.write(files.pki / "client-ca.crt")
        names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ]
        addresses = [self.endpoints.address, arguments.KUBERNETES_SERVICE_ADDRESS, "127.0.0.1"]
        serving.issue_server(files.pki / "apiserver", [*names, "localhost", *addresses])
        write_signing_pair(files.pki / "sa")
        for name, user, groups, path in (
            ("admin", "devcluster-admin", ["system:masters"], files.kubeconfig),
            ("podrunner", "devcluster-podrunner", ["system:masters", "system:nodes"], None),
            (
                "controller-manager",
                "system:kube-controller-manager",
                [],
                files.pki / "controller-manager.kubeconfig",
            ),
        ):
            certificate, key = clients.issue_client(files.pki / name, user, groups)
            if path:
                user_entry = {"client-certificate": str(certificate), "client-key": str(key)}
                write_kubeconfig(path, kubeconfig(server, files.ca, user_entry))

    def open_api(self) -> Api:
        """Return a session as the pod runner, an administrator whom the audit log tells from others."""
        pki = self.files.pki
        return Api(self.endpoints.server, self.files.ca, (pki / "podrunner.crt", pki / "podrunner.key"))

    async def start(self) -> None:
        """Start all parts; return when the API serves and namespace `default` has its ServiceAccount."""
        end = time.monotonic() + READY_TIMEOUT_S
        await self._launch("etcd", self._etcd, arguments.etcd_arguments(self.endpoints, self.files))
        await self._wait("etcd", self._etcd_is_healthy, end)
        await self._launch(
            "kube-apiserver", self._kubernetes, arguments.apiserver_arguments(self.endpoints, self.files)
        )
        async with self.open_api() as api:

            async def serves() -> bool:
                return await api.text("/livez") == "ok" and bool(
                    await api.get("/api/v1/namespaces/kube-system")
                )

            async def has_service_account() -> bool:
                return bool(await api.get("/api/v1/namespaces/default/serviceaccounts/default"))

            await self._wait("kube-apiserver", serves, end)
            flags = arguments.controller_manager_arguments(self.endpoints, self.files, self._node_grace_s)
            await self._launch("kube-controller-manager", self._kubernetes, flags)
            await self._wait("kube-controller-manager", has_service_account, end)

    async def stop(self) -> None:
        """Stop in the reverse order: an API server without etcd takes a minute to end."""
        while self._running:
            _, process = self._running.pop()
            await process.stop(STOP_GRACE_S)

    async def watch_over(self) -> None:
        """Wait until a part ends, which none should. Raises ControlPlaneError."""
        tasks = {asyncio.create_task(process.wait()): name for name, process in self._running}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        raise ControlPlaneError(self._ended(tasks[done.pop()]))

    async def _launch(self, name: str, folder: Path, flags: list[str]) -> None:
        with self.files.log(name).open("ab") as log:
            process = await launch(Launch([str(folder / name), *flags], cwd=str(self.files.folder)), log)
        self._running.append((name, process))

    async def _wait(self, name: str, ready: Callable[[], Awaitable[bool]], end: float) -> None:
        process = next(process for running, process in self._running if running == name)
        while time.monotonic() < end:
            try:
                if await ready():
                    return
            except (ApiError, *TRANSIENT):
                pass
            if not process.send(0):
                raise ControlPlaneError(self._ended(name))
            await asyncio.sleep(POLL_S)
        raise ControlPlaneError(f"{name} was not ready after {READY_TIMEOUT_S:.0f} s:\n{self._tail(name)}")

    async def _etcd_is_healthy(self) -> bool:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.endpoints.etcd_url}/health") as answer,
        ):
            return answer.status == HTTPStatus.OK

    def _ended(self, name: str) -> str:
        return f"{name} has ended:\n{self._tail(name)}"

    def _tail(self, name: str) -> str:
        return "\n".join(self.files.log(name).read_text(errors="replace").splitlines()[-12:])
