"""One container of a pod: started, probed, restarted, stopped."""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from devcluster.api import TRANSIENT, ApiError
from devcluster.podrunner.backoff import BackOff
from devcluster.podrunner.context import PodContext, timestamp
from devcluster.podrunner.environment import ConfigError, arguments, environment, references
from devcluster.podrunner.health import Health
from devcluster.podrunner.images import DEFAULT_PATH, Image
from devcluster.podrunner.probes import http_get
from devcluster.podrunner.status import ContainerRecord, waiting
from devcluster.podrunner.volumes import read_sources
from devcluster.processes import Launch, Process, StartError, launch

Json = dict[str, Any]

RETRY_S = 2.0
START_ERROR = 128
# The kubelet never gives less between SIGTERM and SIGKILL, however long the preStop hook took.
LEAST_GRACE_S = 2.0

log = logging.getLogger(__name__)


class Container:
    """Runs one container as its pod's `restartPolicy` has it. `record` is its state for the pod's status."""

    def __init__(self, context: PodContext, spec: Json, restart_policy: str) -> None:
        self.spec = spec
        self.record = ContainerRecord(spec["name"], spec["image"], waiting("PodInitializing"), {})
        self._context = context
        self._restart_policy = restart_policy
        self._back_off = BackOff()
        self._plan: Launch | None = None
        self._process: Process | None = None
        self._ended = asyncio.Event()
        self._launched = asyncio.Event()
        """Not set while the program is being started: it cannot be signalled yet, nor be said not to run."""
        self._launched.set()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> asyncio.Task[None]:
        """Begin; the task ends when the container will not be started again."""
        self._task = asyncio.create_task(self._run(), name=f"{self._context.name}/{self.record.name}")
        return self._task

    async def terminate(self, grace_s: float) -> None:
        """End it with its pod: preStop, SIGTERM, SIGKILL in `grace_s` seconds; return when it has ended.

        Called again with less, the earlier end holds.
        """
        self._stopping = True
        await self._launched.wait()  # one that is just being started shall get its SIGTERM, not be cut off
        if self._process:
            await self._stop(self._process, grace_s)
        elif self._task and not self._task.done():
            self._task.cancel()
        if self._task:
            await asyncio.wait([self._task])

    async def crash(self) -> None:
        """End it with its node, or the cluster: SIGKILL, without a word to anybody."""
        self._stopping = True
        await self._launched.wait()
        if self._process:
            self._process.send(signal.SIGKILL)
        elif self._task:
            self._task.cancel()
        if self._task:
            await asyncio.wait([self._task])

    def send(self, number: int) -> int | None:
        """Signal the program; its process id, or None if it does not run."""
        return self._process.pid if self._process and self._process.send(number) else None

    async def _run(self) -> None:
        try:
            await self._run_and_restart()
        except Exception as error:
            log.exception("container %s of pod %s", self.record.name, self._context.name)
            self._wait_for("CreateContainerError", f"devcluster failed: {error!r}")

    async def _run_and_restart(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._plan = await self._prepare()
            begin = loop.time()
            code = await self._run_once(self._plan)
            if self._stopping or not self._restarts_after(code):
                return
            await self._wait_for_restart(loop.time() - begin)

    def _restarts_after(self, code: int) -> bool:
        return self._restart_policy == "Always" or (self._restart_policy == "OnFailure" and code != 0)

    async def _prepare(self) -> Launch:
        """Find the image and compose the environment, however often it takes."""
        attempt = 0
        while True:
            attempt += 1
            try:
                image = self._context.site.images.find(self.spec["image"])
                if image:
                    return await self._compose(image)
                table = "no command stands for this image in devcluster's table"
                self._wait_for("ErrImagePull" if attempt == 1 else "ImagePullBackOff", table)
            except ValueError as error:
                self._wait_for("ErrImagePull", str(error))
            except ConfigError as error:
                self._wait_for("CreateContainerConfigError", str(error))
            except (ApiError, *TRANSIENT) as error:
                self._wait_for("CreateContainerConfigError", f"Kubernetes API: {error}")
            await asyncio.sleep(RETRY_S)

    async def _compose(self, image: Image) -> Launch:
        context = self._context
        sources = await read_sources(context.site.api, context.namespace, references(self.spec))
        given: Mapping[str, str] = {
            "PATH": DEFAULT_PATH,
            "HOME": "/",
            **image.env,
            "HOSTNAME": context.hostname,
            **context.site.variables,
        }
        variables = environment(self.spec, context.facts, sources, given)
        argv = arguments(self.spec, image.entrypoint, image.command, variables)
        if not argv:
            raise ConfigError("the image has no entrypoint and the container no command")
        cwd = self.spec.get("workingDir") or image.working_dir
        what = Launch(argv, variables, cwd, mounts=context.mounts(self.spec))
        return context.site.isolation.plan(context.folder, what)

    async def _run_once(self, plan: Launch) -> int:
        record = self.record
        record.container_id = f"devcluster://{os.urandom(16).hex()}"
        log_file = (
            self._context.site.logs / f"{self._context.namespace}_{self._context.name}_{record.name}.log"
        )
        begin = timestamp()
        self._launched.clear()
        try:
            with log_file.open("ab") as output:
                process = self._process = await launch(plan, output)
        except StartError as error:
            self._set_ended(START_ERROR, begin, "StartError", str(error))
            return START_ERROR
        finally:
            self._launched.set()
        self._ended.clear()
        record.state = {"running": {"startedAt": begin}}
        health = Health(self.spec, self._context, self)
        record.started, record.ready = health.at_start()
        self._context.state_changed.set()
        watching = asyncio.create_task(health.watch())
        try:
            code = await process.wait()
        finally:
            watching.cancel()
            self._process = None
            self._ended.set()
        self._set_ended(code, begin, "Error" if code else "Completed")
        return code

    async def _wait_for_restart(self, ran_s: float) -> None:
        loop = asyncio.get_running_loop()
        delay = self._back_off.after(ran_s)
        end = loop.time() + delay
        await self._while_held()
        self.record.last_state = self.record.state
        if loop.time() < end:
            name = f"{self.record.name} pod={self._context.name}_{self._context.namespace}"
            self._wait_for("CrashLoopBackOff", f"back-off {delay:.0f}s restarting failed container={name}")
            await asyncio.sleep(end - loop.time())
            await self._while_held()
        self.record.restart_count += 1

    async def _while_held(self) -> None:
        while self._context.held:
            await self._context.object_changed.next().wait()

    async def _stop(self, process: Process, grace_s: float) -> None:
        """End the running program; the kill is on the clock before the hook begins."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        kill = loop.call_later(max(grace_s, LEAST_GRACE_S), process.send, signal.SIGKILL)
        try:
            hook = self.spec.get("lifecycle", {}).get("preStop")
            if hook and grace_s > 0:
                await self._pre_stop(hook, grace_s)
                kill.cancel()
                left = max(grace_s - (loop.time() - begin), LEAST_GRACE_S)
                kill = loop.call_later(left, process.send, signal.SIGKILL)
            process.send(signal.SIGTERM)
            await self._ended.wait()
        finally:
            kill.cancel()

    async def _pre_stop(self, hook: Json, grace_s: float) -> None:
        """Run the hook until it is done, the program has ended or the grace is over."""
        running = asyncio.create_task(self._hook(hook, grace_s))
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait({running, ended}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.cancel()
            ended.cancel()

    async def _hook(self, hook: Json, grace_s: float) -> None:
        if sleep := hook.get("sleep"):
            await asyncio.sleep(sleep["seconds"])
        elif action := hook.get("httpGet"):
            await http_get(action, self.spec, self._context.pod_ip)
        else:
            await self.execute(hook["exec"]["command"], grace_s)

    async def execute(self, argv: list[str], timeout_s: float) -> int:
        """Run a command beside the program, for probes and hooks; its exit code, 137 after `timeout_s`."""
        if not self._process or not self._plan:
            return START_ERROR
        what = replace(self._plan, argv=argv, root=None, enter=self._process.pid)
        what = self._context.site.isolation.plan(self._context.folder, what)
        try:
            process = await launch(what, asyncio.subprocess.DEVNULL)
        except StartError:
            return START_ERROR
        try:
            return await asyncio.wait_for(process.wait(), timeout_s)
        except (TimeoutError, asyncio.CancelledError) as error:
            process.send(signal.SIGKILL)
            if isinstance(error, asyncio.CancelledError):
                raise
            return 128 + signal.SIGKILL

    def restart_unhealthy(self, grace_s: float) -> None:
        """Stop the program, since a probe has failed for good; the restart policy takes over."""
        if self._process and not self._stopping:
            task = asyncio.create_task(self._stop(self._process, grace_s))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def set_health(self, *, started: bool | None = None, ready: bool | None = None) -> None:
        """Take what the probes have found."""
        if "running" in self.record.state:
            self.record.started = self.record.started if started is None else started
            self.record.ready = self.record.ready if ready is None else ready
            self._context.state_changed.set()

    def _wait_for(self, reason: str, message: str) -> None:
        self.record.state = waiting(reason, message)
        self._context.state_changed.set()

    def _set_ended(self, code: int, begin: str, reason: str, message: str = "") -> None:
        self.record.state = {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                "startedAt": begin,
                "finishedAt": timestamp(),
                "containerID": self.record.container_id,
                **({"message": message} if message else {}),
            }
        }
        self.record.ready = self.record.started = False
        self._context.state_changed.set()
