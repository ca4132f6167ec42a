# SPDX-License-Identifier: Apache-2.0
"""A coordinator played by the suite: it listens at a URL for a client under test. ``run --url URL --role worker``.

The server runs in a thread of its own. It answers greetings and Fetch and moves chunks by itself; every other message
waits for the case that expects it.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from vcompute.blobs import Chunk, Upload
from vcompute.blobs.chunk import verified_leaf
from vcompute.conformance.case import Failure
from vcompute.errors import ProtocolError, UsageError
from vcompute.identity import PrivateKey
from vcompute.messages import Advertise, BlobRef, Error, Fetch, Hello, Keys, Message, Signed, open_message, seal
from vcompute.node.mailbox import Mailbox
from vcompute.node.serve import Endpoint
from vcompute.registry import ErrorCode, Role
from vcompute.session.handshake import answer
from vcompute.task.digest import chunk_count

M = TypeVar("M", bound=Message)
WAIT: Final = 60.0
"""Seconds a client has for what a case expects of it."""


@dataclass
class Host:
    """The suite's end: a hub with keys of its own for coordinator and settlement."""

    role: Role
    coordinator: PrivateKey = field(default_factory=PrivateKey.generate)
    settlement: PrivateKey = field(default_factory=PrivateKey.generate)
    client: bytes | None = None
    """Thumbprint of the client under test: the first that greets in the role."""
    spoil: set[bytes] = field(default_factory=set)
    """Digests of blobs of which the next chunk asked for is spoilt, once."""

    loop: asyncio.AbstractEventLoop | None = None
    """The server's, once it runs."""

    def __post_init__(self) -> None:
        self._incoming: queue.Queue[Signed[Any]] = queue.Queue()
        self._box = Mailbox()
        self._session = bytes(32)
        self._offered: dict[bytes, Upload] = {}
        self._taken: dict[bytes, dict[int, Chunk]] = {}
        self._greetings = 0

    # The hub, called by the server.

    async def message(self, data: bytes) -> bytes | None:
        """Answer greetings and Fetch; keep the rest for the cases."""
        message = open_message(data)
        match message.body:
            case Hello():
                return self._greet(message.of(Hello)).data
            case Fetch(session, sequence, wait):
                if session != self._session:
                    raise ProtocolError("no such session", code=ErrorCode.UNKNOWN_SESSION)
                return await self._box.fetch(sequence, wait)
        if message.signer == self.client:
            self._incoming.put(message)
        return None

    def _greet(self, hello: Signed[Hello]) -> Signed[Message]:
        if self.client not in (None, hello.signer) or hello.body.role is not self.role:
            raise ProtocolError("another client than the one under test", code=ErrorCode.UNEXPECTED_MESSAGE)
        self._greetings += 1
        reply = seal(self.coordinator, answer(hello, self._greetings.to_bytes(16, "big"), self.settlement.thumbprint))
        self.client, self._session = hello.signer, reply.digest
        self._box.restart()
        return reply

    def wanted(self, blob: BlobRef) -> list[int]:
        """The chunks not yet uploaded."""
        held = self._taken.setdefault(blob.digest, {})
        missing = (index for index in range(chunk_count(blob.size)) if index not in held)
        return [index for index, _ in zip(missing, range(256), strict=False)]

    def put_chunk(self, blob: BlobRef, chunk: Chunk) -> None:
        """Take a chunk of any blob; it is checked."""
        verified_leaf(blob.digest, blob.size, chunk)
        self._taken.setdefault(blob.digest, {})[chunk.index] = chunk

    def keys(self, key: bytes, after: int) -> Keys:
        """No key ever changed here."""
        return Keys(key, after, (), False)

    def get_chunk(self, blob: BlobRef, index: int) -> Chunk:
        """A chunk of a blob that a case offers."""
        upload = self._offered.get(blob.digest)
        if upload is None:
            raise ProtocolError("no such blob", code=ErrorCode.BLOB_UNKNOWN)
        chunk = upload.chunk(index)
        if blob.digest in self.spoil:
            self.spoil.discard(blob.digest)
            return Chunk(index, chunk.data[:-1] + bytes([chunk.data[-1] ^ 1]), chunk.path)
        return chunk

    # The other side, called by the cases.

    def put(self, message: Signed[Any] | bytes) -> None:
        """Post a message to the client."""
        data = message if isinstance(message, bytes) else message.data
        if self.loop is None:
            raise UsageError("the host does not listen yet")
        self.loop.call_soon_threadsafe(self._box.put, data)

    def offer_blob(self, content: bytes) -> BlobRef:
        """Have a blob ready for the client."""
        upload = Upload.of_bytes(content)
        self._offered[upload.digest] = upload
        return BlobRef(upload.digest, len(content))

    def connected(self) -> bytes:
        """The client's thumbprint, once it has greeted and, where it is no requester, fetched its mail."""
        deadline = time.monotonic() + WAIT
        while self.client is None:
            if time.monotonic() > deadline:
                raise Failure(f"a {self.role.name.lower()} connects within {WAIT:g} s", "a Hello", "nothing")
            time.sleep(0.05)
        return self.client

    def expect(
        self, cls: type[M], matching: Callable[[Signed[M]], bool] = lambda _: True, seconds: float = WAIT
    ) -> Signed[M]:
        """The next message of a kind; others that come before it are let go.

        Raises:
            Failure: it does not come in time.
        """
        deadline = time.monotonic() + seconds
        seen: list[str] = []
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self._incoming.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(message.body, cls) and matching(message):
                return message.of(cls)
            if not isinstance(message.body, Advertise):
                seen.append(_shown(message.body))
        raise Failure(f"within {seconds:g} s", f"a {cls.__name__}", seen or "nothing")

    def silence(self, cls: type[Message], matching: Callable[[Signed[Any]], bool], seconds: float = 1.0) -> None:
        """Fail where a message of a kind comes."""
        try:
            found = self.expect(cls, matching, seconds)
        except Failure:
            return
        raise Failure("such a message must not be answered", "nothing", _shown(found.body))

    def uploaded(self, blob: BlobRef) -> bytes:
        """The content of a blob, once all of it was uploaded.

        Raises:
            Failure: it is not, in time.
        """
        deadline = time.monotonic() + WAIT
        while self.wanted(blob):
            if time.monotonic() > deadline:
                raise Failure("the blob is uploaded", blob.digest.hex(), f"{len(self.wanted(blob))} chunks missing")
            time.sleep(0.02)
        held = self._taken[blob.digest]
        return b"".join(held[index].data for index in range(chunk_count(blob.size)))


def _shown(body: Any) -> str:
    if isinstance(body, Error):
        return f"Error {body.code.name.lower()}: {body.detail}"
    code = getattr(body, "code", None)
    return type(body).__name__ + (f" {code.name.lower()}" if isinstance(code, ErrorCode) else "")


class Listener:
    """A host behind HTTP at a URL, in a thread."""

    def __init__(self, url: str, role: Role, *, insecure: bool = False) -> None:
        """Listen.

        Raises:
            UsageError: not an http URL with a host, or nobody can listen there.
        """
        import uvicorn

        from vcompute.transport.http_server import application

        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
            raise UsageError("the suite listens at http://HOST:PORT for a client", got=url)
        endpoint = Endpoint(parts.hostname, parts.port or 0, insecure=insecure)
        self._socket = endpoint.bind()
        self.url = endpoint.url(self._socket)
        self.host = Host(role)
        self._server = uvicorn.Server(uvicorn.Config(application(self.host), log_level="error", lifespan="off"))
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        async def serve() -> None:
            self.host.loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[self._socket])

        asyncio.run(serve())

    def __enter__(self) -> Self:
        self._thread.start()
        while self.host.loop is None or not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()
