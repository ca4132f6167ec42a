# SPDX-License-Identifier: Apache-2.0
"""A party's end of the HTTP transport."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from vcompute.blobs import Chunk
from vcompute.codec import Limits, decode
from vcompute.errors import ProtocolError, UsageError
from vcompute.messages import MAX_MESSAGE, BlobRef, Keys
from vcompute.registry import TRANSPORT_SCHEMES, ErrorCode, TransportId
from vcompute.transport.base import Link
from vcompute.transport.http_common import CBOR_TYPE, MAX_CHUNK, MESSAGE_TYPE, Wanted, require_secure

_TIMEOUT: Final = httpx.Timeout(10.0, read=75.0)
_MAX_PROBLEM: Final = 4096
_LONGEST_RETRY: Final = 3_600_000


class HttpLink(Link):
    """A link over HTTP or HTTPS. ``authority`` is a file of certificates to trust instead of the system's."""

    transport = TransportId.HTTP

    def __init__(self, url: str, *, authority: Path | None = None, insecure: bool = False) -> None:
        """Prepare a connection to a coordinator's base URL; nothing is sent yet.

        Raises:
            UsageError: not an HTTP URL, or ``insecure_transport``.
        """
        parts = urlsplit(url)
        if parts.scheme not in TRANSPORT_SCHEMES[self.transport] or not parts.hostname:
            raise UsageError("a coordinator is named by an http or https URL", got=url)
        require_secure(parts.hostname, tls=parts.scheme == "https", insecure=insecure)
        verify: ssl.SSLContext | bool = True
        if authority is not None:
            verify = ssl.create_default_context(cafile=str(authority))
        self._client = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, verify=verify, trust_env=False)

    async def close(self) -> None:
        """Give the connection up."""
        await self._client.aclose()

    async def exchange(self, data: bytes) -> bytes | None:
        """See :class:`Link`."""
        answer = await self._request("POST", "/v1/messages", MAX_MESSAGE, data, MESSAGE_TYPE)
        return answer or None

    async def receive(self, fetch: Callable[[], bytes]) -> bytes | None:
        """See :class:`Link`."""
        return await self.exchange(fetch())

    async def wanted(self, blob: BlobRef) -> list[int]:
        """See :class:`Link`."""
        body = await self._request("GET", _path(blob), MAX_CHUNK)
        return list(decode(Wanted, body, Limits(bytes=MAX_CHUNK, depth=3)).indices)

    async def put_chunk(self, blob: BlobRef, chunk: Chunk) -> None:
        """See :class:`Link`."""
        await self._request("PUT", _path(blob, chunk.index), 0, chunk.encode(), CBOR_TYPE)

    async def get_chunk(self, blob: BlobRef, index: int) -> Chunk:
        """See :class:`Link`."""
        return Chunk.decode(await self._request("GET", _path(blob, index), MAX_CHUNK))

    async def keys(self, key: bytes, after: int) -> Keys:
        """See :class:`Link`."""
        body = await self._request("GET", f"/v1/keys/{key.hex()}?after={after}", MAX_MESSAGE)
        return decode(Keys, body, Limits(bytes=MAX_MESSAGE, depth=4))

    async def _request(self, method: str, path: str, limit: int, body: bytes = b"", media: str = "") -> bytes:
        """One request; the body of a good answer, at most ``limit`` bytes."""
        headers = {"content-type": media} if media else {}
        try:
            async with self._client.stream(method, path, content=body, headers=headers) as response:
                data = bytearray()
                async for part in response.aiter_bytes():
                    data += part
                    if len(data) > max(limit, _MAX_PROBLEM):
                        raise ProtocolError("the answer is too long", code=ErrorCode.LIMIT_EXCEEDED, expected=limit)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            name = type(error).__name__
            raise ProtocolError(f"no answer from the coordinator ({name})", code=ErrorCode.TRANSPORT_FAILED) from error
        if response.is_success:
            return bytes(data)
        raise _refusal(response.status_code, bytes(data))


def _path(blob: BlobRef, index: int | None = None) -> str:
    chunk = "" if index is None else f"/{index}"
    return f"/v1/blobs/{blob.digest.hex()}{chunk}?size={blob.size}"


def _refusal(status: int, data: bytes) -> ProtocolError:
    """The error that problem details describe; ``transport_failed`` where the answer is something else."""
    try:
        body = json.loads(data)
        code, detail, retry_after = ErrorCode(body["code"]), str(body["detail"]), body.get("retry_after")
    except (ValueError, KeyError, TypeError, RecursionError):
        return ProtocolError("the coordinator failed", code=ErrorCode.TRANSPORT_FAILED, got=f"HTTP {status}")
    if type(retry_after) is not int or not 0 < retry_after <= _LONGEST_RETRY:
        retry_after = None
    return ProtocolError(f"refused by the coordinator: {detail[:512]}", code=code, retry_after=retry_after)
