# SPDX-License-Identifier: Apache-2.0
"""Serve a coordinator over HTTP."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from vcompute.blobs import BlobCache
from vcompute.errors import UsageError
from vcompute.identity import PrivateKey
from vcompute.node.coordinator import CoordinatorNode
from vcompute.node.http_guard import MAX_CONNECTIONS, MAX_HEADERS, GuardedProtocol
from vcompute.node.store import Store, lock, state_directory
from vcompute.policy.attestation import AttestationPolicy
from vcompute.settlement import Ledger, open_ledger
from vcompute.transport.http_common import require_secure
from vcompute.transport.http_server import application


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a coordinator listens."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free one."""
    certificate: Path | None = None
    """A chain in PEM; with it the coordinator speaks TLS."""
    certificate_key: Path | None = None
    insecure: bool = False
    """Accept plain HTTP beyond the loopback."""

    def bind(self) -> socket.socket:
        """A bound socket.

        Raises:
            UsageError: ``insecure_transport``, or the address cannot be used.
        """
        require_secure(self.host, tls=self.certificate is not None, insecure=self.insecure)
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self.host, self.port))
        except OSError as error:
            bound.close()
            raise UsageError(f"cannot listen on {self.host} port {self.port}: {error.strerror}") from error
        return bound

    def url(self, bound: socket.socket) -> str:
        """The base URL of a bound socket."""
        scheme = "http" if self.certificate is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{bound.getsockname()[1]}"


class Service:
    """A coordinator with its ledger in a state directory."""

    def __init__(
        self,
        state: Path,
        key: PrivateKey,
        settlement: PrivateKey,
        cache: int,
        attestation: AttestationPolicy | None = None,
    ) -> None:
        """Open the state; one process at a time holds it. ``attestation`` says what evidence is worth.

        Raises:
            UsageError: the directory cannot be used, or is in use.
        """
        directory = state_directory(state)
        self._lock = lock(directory)
        self.ledger: Ledger = open_ledger(directory / "ledger.db", settlement)
        blobs = BlobCache(directory / "blobs", cache, durable=False)
        store = Store(directory / "state.db")
        self.node = CoordinatorNode(key, self.ledger, store, blobs, nonce=os.urandom, attestation=attestation)

    async def serve(self, endpoint: Endpoint, bound: socket.socket, ready: Callable[[], Awaitable[None]]) -> None:
        """Serve until a signal ends the process; ``ready`` is awaited once requests are taken."""
        config = uvicorn.Config(
            application(self.node, self.node.status, self.node.metrics),
            ssl_certfile=endpoint.certificate,
            ssl_keyfile=endpoint.certificate_key,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            timeout_keep_alive=75,
            http=GuardedProtocol,
            ws="none",
            h11_max_incomplete_event_size=MAX_HEADERS,
        )
        allow_connections(MAX_CONNECTIONS)
        server = uvicorn.Server(config)
        node = asyncio.ensure_future(self.node.run())
        serving = asyncio.ensure_future(server.serve(sockets=[bound]))
        try:
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            await ready()
            await asyncio.wait([serving, node], return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
            node.cancel()
            await asyncio.gather(node, return_exceptions=True)
            self.node.store.close()
        if not node.cancelled():
            node.result()


def allow_connections(count: int) -> None:
    """Raise the bound on this process's open files as far as the platform lets it."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count + 256 if hard == resource.RLIM_INFINITY else min(count + 256, hard)
        if soft < wanted:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def on_signals(handler: Callable[[], None]) -> Iterator[None]:
    """Call ``handler`` on SIGINT and SIGTERM while the block runs, where the platform can."""
    loop = asyncio.get_running_loop()
    installed = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, handler)
            installed.append(number)
    try:
        yield
    finally:
        for number in installed:
            loop.remove_signal_handler(number)
