# SPDX-License-Identifier: Apache-2.0
"""The coordinator's end of the HTTP transport: an ASGI application over a hub."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vcompute.blobs import Chunk
from vcompute.codec import encode
from vcompute.errors import ProtocolError, VcomputeError
from vcompute.messages import MAX_MESSAGE, BlobRef
from vcompute.registry import HTTP_STATUS, ErrorCode
from vcompute.transport.base import Hub
from vcompute.transport.http_common import (
    CBOR_TYPE,
    MAX_CHUNK,
    MAX_WANTED,
    MESSAGE_TYPE,
    PROBLEM_BASE,
    PROBLEM_TYPE,
    Wanted,
)

logger = logging.getLogger(__name__)
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


def problem(error: VcomputeError) -> Response:
    """The problem details of an error."""
    status = HTTP_STATUS[error.code]
    body: dict[str, Any] = {
        "type": PROBLEM_BASE + error.code.name.lower(),
        "title": error.code.name.lower(),
        "status": status,
        "detail": str(error)[:512],
        "code": int(error.code),
    }
    headers = {}
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        body["retry_after"] = retry_after
        headers["retry-after"] = str(-(-retry_after // 1000))
    if error.code is ErrorCode.LIMIT_EXCEEDED:
        headers["connection"] = "close"  # the rest of the body is not read
    return JSONResponse(body, status_code=status, media_type=PROBLEM_TYPE, headers=headers)


def _typed(endpoint: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except VcomputeError as error:
            logger.info("refused %r: %s", request.scope["path"], error)
            return problem(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it

    return answer


async def _body(request: Request, limit: int) -> bytes:
    """The request's body, given up as soon as it says that it is longer than ``limit``, or is."""
    announced = request.headers.get("content-length", "0")
    if len(announced) > 18 or not announced.isdecimal() or int(announced) > limit:
        raise ProtocolError("the body is too long", code=ErrorCode.LIMIT_EXCEEDED, expected=f"<= {limit} bytes")
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > limit:
            raise ProtocolError("the body is too long", code=ErrorCode.LIMIT_EXCEEDED, expected=f"<= {limit} bytes")
    return bytes(data)


def _blob(request: Request) -> BlobRef:
    name, size = request.path_params["digest"], request.query_params.get("size", "")
    if len(name) != 64 or set(name) - set("0123456789abcdef") or not size.isdecimal() or len(size) > 13:
        raise ProtocolError("a blob is named by its digest in hexadecimal and its size")
    return BlobRef(bytes.fromhex(name), int(size))


def application(
    hub: Hub, status: Callable[[], dict[str, Any]] | None = None, metrics: Callable[[], str] | None = None
) -> Starlette:
    """The ASGI application of a hub; ``status`` is served as JSON for people, ``metrics`` as text for Prometheus."""

    async def messages(request: Request) -> Response:
        answer = await hub.message(await _body(request, MAX_MESSAGE))
        return Response(status_code=204) if answer is None else Response(answer, media_type=MESSAGE_TYPE)

    async def wanted(request: Request) -> Response:
        indices = tuple(hub.wanted(_blob(request))[:MAX_WANTED])
        return Response(encode(Wanted(indices)), media_type=CBOR_TYPE)

    async def put(request: Request) -> Response:
        blob = _blob(request)
        chunk = Chunk.decode(await _body(request, MAX_CHUNK))
        if chunk.index != request.path_params["index"]:
            raise ProtocolError("the chunk is another than the path names")
        hub.put_chunk(blob, chunk)
        return Response(status_code=204)

    async def get(request: Request) -> Response:
        return Response(hub.get_chunk(_blob(request), request.path_params["index"]).encode(), media_type=CBOR_TYPE)

    async def keys(request: Request) -> Response:
        name, after = request.path_params["key"], request.query_params.get("after", "0")
        if len(name) != 64 or set(name) - set("0123456789abcdef") or not after.isdecimal() or len(after) > 5:
            raise ProtocolError("keys are named by a thumbprint in hexadecimal")
        return Response(encode(hub.keys(bytes.fromhex(name), min(int(after), 0xFFFF))), media_type=CBOR_TYPE)

    async def state(_: Request) -> Response:
        return JSONResponse(status() if status is not None else {})

    async def scraped(_: Request) -> Response:
        text = metrics() if metrics is not None else ""
        return Response(text, media_type="text/plain; version=0.0.4")

    made = Starlette(
        routes=[
            Route("/v1/messages", _typed(messages), methods=["POST"]),
            Route("/v1/blobs/{digest}", _typed(wanted), methods=["GET"]),
            Route("/v1/blobs/{digest}/{index:int}", _typed(put), methods=["PUT"]),
            Route("/v1/blobs/{digest}/{index:int}", _typed(get), methods=["GET"]),
            Route("/v1/keys/{key}", _typed(keys), methods=["GET"]),
            Route("/v1/status", state, methods=["GET"]),
            Route("/metrics", scraped, methods=["GET"]),
        ]
    )
    made.router.redirect_slashes = False  # a redirection would decode the query, which may be anything
    return made
