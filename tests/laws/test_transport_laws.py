# SPDX-License-Identifier: Apache-2.0
"""What holds for every transport: bytes arrive unchanged, refusals keep their code, sizes are bounded."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import uvicorn

from vcompute.blobs import Chunk, Upload
from vcompute.blobs.chunk import verified_leaf
from vcompute.errors import ProtocolError, UsageError
from vcompute.messages import MAX_MESSAGE, BlobRef
from vcompute.registry import HTTP_STATUS, TRANSPORT_SCHEMES, ErrorCode, TransportId
from vcompute.task.digest import CHUNK_SIZE
from vcompute.transport import Link, MemoryLink
from vcompute.transport.http import HttpLink
from vcompute.transport.http_common import MAX_CHUNK, is_loopback, require_secure
from vcompute.transport.http_server import application

pytestmark = pytest.mark.server
CONTENT = bytes(range(256)) * 1024
UPLOAD = Upload.of_bytes(CONTENT)
BLOB = BlobRef(UPLOAD.digest, len(CONTENT))


class Stub:
    """A hub that records what reaches it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.chunks: dict[int, Chunk] = {}
        self.code: ErrorCode | None = None

    async def message(self, data: bytes) -> bytes | None:
        if self.code is not None:
            raise ProtocolError("a reason for people", code=self.code, retry_after=1_234)
        self.messages.append(data)
        return None if data == b"silent" else b"answer to " + data[:100]

    def wanted(self, blob: BlobRef) -> list[int]:
        if blob != BLOB:
            raise ProtocolError("unwanted", code=ErrorCode.BLOB_UNWANTED)
        return [index for index in range(len(CONTENT) // CHUNK_SIZE) if index not in self.chunks]

    def put_chunk(self, blob: BlobRef, chunk: Chunk) -> None:
        verified_leaf(blob.digest, blob.size, chunk)
        self.chunks[chunk.index] = chunk

    def get_chunk(self, blob: BlobRef, index: int) -> Chunk:
        if index not in self.chunks:
            raise ProtocolError("no such chunk", code=ErrorCode.BLOB_UNKNOWN)
        return self.chunks[index]


@contextlib.asynccontextmanager
async def serving(hub: Stub) -> AsyncIterator[str]:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    config = uvicorn.Config(application(hub), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.ensure_future(server.serve(sockets=[bound]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        bound.close()


@contextlib.asynccontextmanager
async def memory(hub: Stub) -> AsyncIterator[Link]:
    yield MemoryLink(hub)


@contextlib.asynccontextmanager
async def http(hub: Stub) -> AsyncIterator[Link]:
    async with serving(hub) as url:
        link = HttpLink(url)
        yield link
        await link.close()


@pytest.fixture(params=[memory, http], ids=["memory", "http"])
def law(request: pytest.FixtureRequest) -> Callable[[Callable[[Stub, Link], Awaitable[None]]], None]:
    def check(body: Callable[[Stub, Link], Awaitable[None]]) -> None:
        async def main() -> None:
            hub = Stub()
            async with request.param(hub) as link:
                await body(hub, link)

        asyncio.run(main())

    return check


def code_of(error: pytest.ExceptionInfo[ProtocolError]) -> ErrorCode:
    return error.value.code


def test_messages_arrive_unchanged_and_answers_come_back(law: Callable[..., None]) -> None:
    """VC-NET-001 VC-NET-010: bytes arrive as they were sent, once."""

    async def body(hub: Stub, link: Link) -> None:
        long = bytes(MAX_MESSAGE)
        for data in (b"x", bytes(range(256)), long):
            assert await link.exchange(data) == b"answer to " + data[:100]
        assert await link.exchange(b"silent") is None
        assert hub.messages == [b"x", bytes(range(256)), long, b"silent"]
        assert await link.receive(lambda: b"fetch") == b"answer to fetch"

    law(body)


def test_refusals_keep_their_registered_code(law: Callable[..., None]) -> None:
    """VC-NET-003 VC-NET-011: for every registered code."""

    async def body(hub: Stub, link: Link) -> None:
        for code in ErrorCode:
            hub.code = code
            with pytest.raises(ProtocolError) as caught:
                await link.exchange(b"x")
            assert code_of(caught) is code
            assert caught.value.retry_after == 1_234

    law(body)


def test_chunks_go_both_ways(law: Callable[..., None]) -> None:
    """VC-NET-010"""

    async def body(hub: Stub, link: Link) -> None:
        wanted = await link.wanted(BLOB)
        assert wanted == [0, 1, 2, 3]
        for index in wanted:
            await link.put_chunk(BLOB, UPLOAD.chunk(index))
        assert await link.wanted(BLOB) == []
        assert [await link.get_chunk(BLOB, index) for index in wanted] == [UPLOAD.chunk(index) for index in wanted]

    law(body)


def test_wrong_and_missing_chunks_are_refused(law: Callable[..., None]) -> None:
    async def body(hub: Stub, link: Link) -> None:
        good = UPLOAD.chunk(1)
        with pytest.raises(Exception, match=r"chunk|digest") as wrong:
            await link.put_chunk(BLOB, Chunk(1, good.data[:-1] + b"x", good.path))
        assert wrong.value.code is ErrorCode.DIGEST_MISMATCH  # type: ignore[attr-defined]
        with pytest.raises(ProtocolError) as missing:
            await link.get_chunk(BLOB, 3)
        assert code_of(missing) is ErrorCode.BLOB_UNKNOWN
        with pytest.raises(ProtocolError) as unwanted:
            await link.wanted(BlobRef(bytes(32), 1))
        assert code_of(unwanted) is ErrorCode.BLOB_UNWANTED

    law(body)


def test_nobody_there_is_a_failed_transport() -> None:
    """VC-NET-003"""

    async def main() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        link = HttpLink(f"http://127.0.0.1:{port}")
        with pytest.raises(ProtocolError) as caught:
            await link.exchange(b"x")
        assert code_of(caught) is ErrorCode.TRANSPORT_FAILED
        await link.close()

    asyncio.run(main())


def test_http_bounds_bodies_and_speaks_problem_details() -> None:
    """VC-NET-002 VC-NET-010 VC-NET-011"""

    async def main() -> None:
        hub = Stub()
        async with serving(hub) as url, httpx.AsyncClient(base_url=url) as client:
            name = BLOB.digest.hex()
            cases = [
                ("POST", "/v1/messages", bytes(MAX_MESSAGE + 1), ErrorCode.LIMIT_EXCEEDED),
                ("PUT", f"/v1/blobs/{name}/0?size=9", bytes(MAX_CHUNK + 1), ErrorCode.LIMIT_EXCEEDED),
                ("PUT", f"/v1/blobs/{name}/0?size=9", b"junk", ErrorCode.MALFORMED_ENCODING),
                ("PUT", f"/v1/blobs/{name}/2?size={BLOB.size}", UPLOAD.chunk(1).encode(), ErrorCode.SCHEMA_VIOLATION),
                ("GET", f"/v1/blobs/{name}", b"", ErrorCode.SCHEMA_VIOLATION),
                ("GET", f"/v1/blobs/{name}?size=-1", b"", ErrorCode.SCHEMA_VIOLATION),
                ("GET", f"/v1/blobs/{name.upper()}?size=1", b"", ErrorCode.SCHEMA_VIOLATION),
                ("GET", f"/v1/blobs/{name[:-2]}?size=1", b"", ErrorCode.SCHEMA_VIOLATION),
            ]
            for method, path, content, code in cases:
                answer = await client.request(method, path, content=content)
                body = json.loads(answer.content)
                assert answer.headers["content-type"] == "application/problem+json"
                assert (body["code"], body["type"]) == (int(code), f"urn:vcompute:error:{code.name.lower()}"), path
                assert body["status"] == answer.status_code == HTTP_STATUS[code]
            assert (await client.get("/v1/nothing")).status_code == 404
            assert hub.messages == []

    asyncio.run(main())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"code": 99999, "detail": ""}', b'{"code": [1]}', b"\xff", b"[" * 5000]
)
def test_an_answer_that_is_no_problem_details_is_a_failed_transport(body: bytes) -> None:
    """VC-NET-003 VC-NET-011"""

    async def app(scope: object, receive: object, send: Callable[..., Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def main() -> None:
        link = HttpLink("http://127.0.0.1:1")
        link._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")  # type: ignore[arg-type]
        with pytest.raises(ProtocolError) as caught:
            await link.exchange(b"x")
        assert code_of(caught) is ErrorCode.TRANSPORT_FAILED
        await link.close()

    asyncio.run(main())


def test_an_endless_answer_is_given_up() -> None:
    """VC-NET-002"""

    async def app(scope: object, receive: object, send: Callable[..., Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": bytes(4096), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def main() -> None:
        link = HttpLink("http://127.0.0.1:1")
        link._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")  # type: ignore[arg-type]
        with pytest.raises(ProtocolError) as caught:
            await link.exchange(b"x")
        assert code_of(caught) is ErrorCode.LIMIT_EXCEEDED
        await link.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("10.0.0.1", False),
     ("0.0.0.0", False), ("example.org", False), ("localhost.example.org", False), ("", False)],
)  # fmt: skip
def test_plain_http_stays_on_the_loopback(host: str, expected: bool) -> None:
    """VC-NET-012"""
    assert is_loopback(host) is expected
    if not expected:
        with pytest.raises(UsageError) as caught:
            require_secure(host, tls=False, insecure=False)
        assert caught.value.code is ErrorCode.INSECURE_TRANSPORT
    require_secure(host, tls=True, insecure=False)
    require_secure(host, tls=False, insecure=True)


@pytest.mark.parametrize("url", ["ftp://x", "x", "http://", "http://example.org", "//localhost"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        HttpLink(url)


@pytest.mark.parametrize(
    ("given", "taken"), [(1, 1), (3_600_000, 3_600_000), (3_600_001, None), (0, None), ("5", None)]
)
def test_a_wait_of_more_than_an_hour_is_not_taken(given: object, taken: int | None) -> None:
    """VC-NET-004"""
    problem = json.dumps({"code": int(ErrorCode.RATE_LIMITED), "detail": "later", "retry_after": given}).encode()

    async def app(scope: object, receive: object, send: Callable[..., Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 429, "headers": []})
        await send({"type": "http.response.body", "body": problem})

    async def main() -> None:
        link = HttpLink("http://127.0.0.1:1")
        link._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")  # type: ignore[arg-type]
        with pytest.raises(ProtocolError) as caught:
            await link.exchange(b"x")
        assert code_of(caught) is ErrorCode.RATE_LIMITED
        assert caught.value.retry_after == taken
        await link.close()

    asyncio.run(main())


def test_a_redirection_is_not_followed() -> None:
    """VC-NET-013"""
    paths: list[str] = []

    async def app(scope: dict[str, str], receive: object, send: Callable[..., Awaitable[None]]) -> None:
        paths.append(scope["path"])
        await send({"type": "http.response.start", "status": 307, "headers": [(b"location", b"/elsewhere")]})
        await send({"type": "http.response.body", "body": b""})

    async def main() -> None:
        link = HttpLink("http://127.0.0.1:1")
        timeout = link._client.timeout
        assert timeout.connect is not None
        assert timeout.read is not None
        assert timeout.read > 60
        follows = link._client.follow_redirects
        link._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),  # type: ignore[arg-type]
            base_url="http://x",
            follow_redirects=follows,
        )
        with pytest.raises(ProtocolError) as caught:
            await link.exchange(b"x")
        assert code_of(caught) is ErrorCode.TRANSPORT_FAILED
        await link.close()

    asyncio.run(main())
    assert paths == ["/v1/messages"]


def test_links_name_their_registered_transport() -> None:
    """VC-REG-001: each scheme belongs to one transport; what is not registered has a private number."""
    assert (MemoryLink.transport, HttpLink.transport) == (TransportId.MEMORY, TransportId.HTTP)
    schemes = [scheme for row in TRANSPORT_SCHEMES.values() for scheme in row]
    assert len(set(schemes)) == len(schemes)
    assert Link.transport >= 60_000
