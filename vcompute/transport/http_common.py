# SPDX-License-Identifier: Apache-2.0
"""What both ends of the HTTP transport agree on.

    POST /v1/messages                     a message; 200 with the answer, or 204
    GET  /v1/blobs/{digest}?size=         the chunks wanted, as CBOR
    PUT  /v1/blobs/{digest}/{index}?size= a chunk; 204
    GET  /v1/blobs/{digest}/{index}?size= a chunk
    GET  /v1/keys/{key}?after=            records of the keys of the party of a thumbprint, as CBOR

Digests are lower-case hexadecimal. A refusal is a problem details object (RFC 9457) of which ``code`` is the
registered number; ``retry_after`` stands beside it in milliseconds where trying again may help. The chapter
"Transports" of the specification has the rules.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

from vcompute.blobs.chunk import CHUNK_LIMITS
from vcompute.codec import Array, Int, Kind, field
from vcompute.errors import UsageError
from vcompute.messages import MAX_MESSAGE
from vcompute.registry import ErrorCode

MESSAGE_TYPE: Final = 'application/cose; cose-type="cose-sign1"'
CBOR_TYPE: Final = "application/cbor"
PROBLEM_TYPE: Final = "application/problem+json"
PROBLEM_BASE: Final = "urn:vcompute:error:"
MAX_CHUNK: Final = CHUNK_LIMITS.bytes
MAX_BODY: Final = max(MAX_MESSAGE, MAX_CHUNK)
MAX_WANTED: Final = 256
_INDICES: Final[Kind] = Array(Int(0, 2**40), 0, MAX_WANTED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Chunks of a blob that are missing."""

    indices: tuple[int, ...] = field(0, _INDICES, "some of the missing chunks; empty where none is")


def is_loopback(host: str) -> bool:
    """Whether a host name or address stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_secure(host: str, *, tls: bool, insecure: bool) -> None:
    """Refuse plain HTTP beyond the loopback unless that was chosen.

    Raises:
        UsageError: ``insecure_transport``.
    """
    if not (tls or insecure or is_loopback(host)):
        raise UsageError(
            f"plain HTTP to or from {host} is readable on the way: use TLS, or --insecure to accept that",
            code=ErrorCode.INSECURE_TRANSPORT,
        )
