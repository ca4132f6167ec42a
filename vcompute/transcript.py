# SPDX-License-Identifier: Apache-2.0
"""The Fiat-Shamir transcript: SHA-256, every message labelled, typed and length-prefixed, every squeeze a ratchet.

Prover and verifier drive the same state. :class:`ProverTranscript` *sends*: it absorbs a message and appends it to the
proof. :class:`VerifierTranscript` *receives*: it takes the next message of a length it derived itself from the
parameters, refuses what is not canonical, and absorbs it. So a proof is the concatenation of its messages, no length
is ever read from the peer, and every byte of it is bound. :meth:`VerifierTranscript.finish` refuses leftovers.

State machine. With H = SHA-256, the state is a running hash, begun with the domain tag:

- absorb(type, label, data): feed  type (1 byte) | len(label) (1) | label | len(data) (8, little-endian) | data;
- squeeze(label): absorb(SQUEEZE, label, empty), take s = H(state), begin a new state with RATCHET | s, and give the
  stream H(s | 0) | H(s | 1) | ... (counters of 8 bytes) as randomness. The two uses of s differ in length.

Challenges are words of 8 bytes drawn from the stream, rejected where not below p: uniform, never reduced.
There is no randomness here: the same messages give the same proof.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count as count_up
from struct import Struct, unpack_from
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vcompute import stop
from vcompute.errors import Rejected
from vcompute.field import encoding
from vcompute.field.backend import DIGEST_BYTES, Backend
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import P, Words
from vcompute.field.portable import proof_of_work
from vcompute.field.scalar import Ext, from_array, to_array
from vcompute.registry import ErrorCode

PROTOCOL_VERSION: Final = 1
"""Inside every domain tag; a change of any byte of the transcript or of a proof raises it."""

_DOMAIN: Final = b"vcompute transcript v%d\x00" % PROTOCOL_VERSION
_RATCHET: Final = b"vcompute ratchet v%d\x00" % PROTOCOL_VERSION

_SQUEEZE: Final = 0
_BYTES: Final = 1
_INTEGER: Final = 2
_BASE: Final = 3
_EXT: Final = 4
_DIGESTS: Final = 5
_NONCE: Final = 6

_MAX_QUERY_BITS: Final = 48

_WORDS: Final = Struct("<4Q")
"""The words of a digest."""


def domain_tag() -> bytes:
    """What every transcript's state begins with."""
    return _DOMAIN


def absorbed_bytes(kind: int, label: str, data: bytes) -> bytes:
    """What a message adds to the state."""
    return _head(kind, label, len(data)) + data


def _head(kind: int, label: str, length: int) -> bytes:
    name = label.encode()
    return bytes((kind, len(name))) + name + length.to_bytes(8, "little")


class Transcript:
    """The state shared by both sides: absorb public values, draw challenges."""

    def __init__(self, protocol: str) -> None:
        """``protocol`` names what runs (it separates domains), for example ``"succinct"``."""
        self._state = hashlib.sha256(_DOMAIN)
        self._seed = b""
        self.absorb_bytes("protocol", protocol.encode())

    def _absorb(self, kind: int, label: str, data: bytes) -> None:
        self._state.update(_head(kind, label, len(data)))
        self._state.update(data)

    def absorb_bytes(self, label: str, data: bytes) -> None:
        """Absorb a byte string both sides know."""
        self._absorb(_BYTES, label, data)

    def absorb_int(self, label: str, value: int) -> None:
        """Absorb an integer, 0 <= value < 2^64 (OverflowError otherwise)."""
        self._absorb(_INTEGER, label, value.to_bytes(8, "little"))

    def absorb_base(self, label: str, values: Words) -> None:
        """Absorb base elements."""
        self._absorb(_BASE, label, encoding.to_bytes(values))

    def absorb_ext(self, label: str, values: Sequence[Ext]) -> None:
        """Absorb extension elements."""
        self._absorb(_EXT, label, encoding.to_bytes(to_array(values)))

    def _squeeze(self, label: str) -> bytes:
        self._absorb(_SQUEEZE, label, b"")
        self._seed = self._state.digest()
        self._state = hashlib.sha256(_RATCHET + self._seed)
        return self._seed

    def ratchet(self, label: str) -> None:
        """Squeeze and use nothing of it: a place where a twin may take over (see VerifierTranscript.hand_over)."""
        self._squeeze(label)

    def challenge(self, label: str) -> Ext:
        """One uniform element of the extension."""
        return self.challenges(label, 1)[0]

    def challenges(self, label: str, count: int) -> list[Ext]:
        """``count`` uniform, independent elements of the extension."""
        words = (word for word in _stream(self._squeeze(label)) if word < P)
        return [Ext(next(words), next(words)) for _ in range(count)]

    def challenge_positions(self, label: str, count: int, log_size: int) -> list[int]:
        """``count`` uniform positions below 2^log_size, drawn with replacement, in the order drawn."""
        if not 0 <= log_size <= _MAX_QUERY_BITS:
            raise ValueError(f"positions of {log_size} bits")
        mask = (1 << log_size) - 1
        return [word & mask for word in _words(self._squeeze(label), count)]


def _stream(seed: bytes) -> Iterator[int]:
    """The words of the stream that a squeeze gives."""
    for counter in count_up():
        yield from _WORDS.unpack(_digest(seed, counter))


def _words(seed: bytes, count: int) -> tuple[int, ...]:
    """The stream's first words."""
    digests = [_digest(seed, counter) for counter in range(-(-count // 4))]
    return unpack_from(f"<{count}Q", b"".join(digests))


def _digest(seed: bytes, counter: int) -> bytes:
    return hashlib.sha256(seed + counter.to_bytes(8, "little")).digest()


class ProverTranscript(Transcript):
    """A transcript that writes the proof. Every message is a place where the prover may be stopped."""

    def __init__(self, protocol: str, backend: Backend) -> None:
        super().__init__(protocol)
        self._backend = backend
        self._proof = bytearray()

    def _send(self, kind: int, label: str, data: bytes) -> None:
        stop.check()
        self._absorb(kind, label, data)
        self._proof += data

    def send_bytes(self, label: str, data: bytes) -> None:
        """Send a byte string whose length the verifier derives."""
        self._send(_BYTES, label, data)

    def send_base(self, label: str, values: Words) -> None:
        """Send base elements, in row-major order."""
        self._send(_BASE, label, encoding.to_bytes(values))

    def send_ext(self, label: str, values: Sequence[Ext]) -> None:
        """Send extension elements."""
        self._send(_EXT, label, encoding.to_bytes(to_array(values)))

    def send_ext_array(self, label: str, values: ExtWords) -> None:
        """Send an array of extension elements, in row-major order."""
        self._send(_EXT, label, encoding.to_bytes(values))

    def send_digests(self, label: str, digests: NDArray[np.uint8]) -> None:
        """Send truncated digests, (n, DIGEST_BYTES)."""
        self._send(_DIGESTS, label, digests.tobytes())

    def grind(self, label: str, bits: int) -> None:
        """Do ``bits`` bits of work before the next challenge; with none, send nothing."""
        if bits:
            nonce = self._backend.grind(self._squeeze(label), bits)
            self._send(_NONCE, label, nonce.to_bytes(8, "little"))

    def hand_over(self) -> bytes:
        """For a native twin: the last squeeze's seed, which right after a squeeze is the whole state."""
        return self._seed

    def take_back(self, seed: bytes, sent: ExtWords) -> None:
        """Go on after a twin that sent these elements and ended with a squeeze."""
        stop.check()
        self._proof += encoding.to_bytes(sent)
        self._seed = seed
        self._state = hashlib.sha256(_RATCHET + seed)

    def finish(self) -> bytes:
        """The proof."""
        return bytes(self._proof)


class VerifierTranscript(Transcript):
    """A transcript that reads a proof. Every method that receives raises Rejected."""

    def __init__(self, protocol: str, proof: bytes) -> None:
        super().__init__(protocol)
        self._proof = proof
        self._position = 0

    def _receive(self, kind: int, label: str, length: int) -> bytes:
        end = self._position + length
        if end > len(self._proof):
            raise Rejected(
                f"the proof ends inside '{label}'", code=ErrorCode.TRUNCATED_PROOF, expected=end, got=len(self._proof)
            )
        data = self._proof[self._position : end]
        self._position = end
        self._absorb(kind, label, data)
        return data

    def remaining(self) -> int:
        """The bytes not yet received: an upper bound on what any later message can hold."""
        return len(self._proof) - self._position

    def receive_bytes(self, label: str, length: int) -> bytes:
        """A byte string of a length the verifier derived."""
        return self._receive(_BYTES, label, length)

    def receive_base(self, label: str, count: int) -> Words:
        """``count`` base elements."""
        return encoding.base_from_bytes(self._receive(_BASE, label, count * encoding.ELEMENT_BYTES), count)

    def receive_ext(self, label: str, count: int) -> list[Ext]:
        """``count`` extension elements."""
        return from_array(self.receive_ext_array(label, count))

    def receive_ext_array(self, label: str, count: int) -> ExtWords:
        """``count`` extension elements as an array (count, 2)."""
        return encoding.ext_from_bytes(self._receive(_EXT, label, count * encoding.EXT_BYTES), count)

    def receive_digests(self, label: str, count: int) -> NDArray[np.uint8]:
        """``count`` truncated digests, (count, DIGEST_BYTES)."""
        data = self._receive(_DIGESTS, label, count * DIGEST_BYTES)
        return np.frombuffer(data, dtype=np.uint8).reshape(count, DIGEST_BYTES)

    def check_grind(self, label: str, bits: int) -> None:
        """Receive the nonce and check its work.

        Raises:
            Rejected: grinding.
        """
        if bits:
            seed = self._squeeze(label)
            nonce = int.from_bytes(self._receive(_NONCE, label, 8), "little")
            if not proof_of_work(seed, bits, nonce):
                raise Rejected(f"the nonce of '{label}' does not do {bits} bits of work", code=ErrorCode.GRINDING)

    def require_equal(self, left: Ext, right: Ext, code: ErrorCode, message: str) -> None:
        """Refuse a proof whose values do not fit. Verifiers compare through the transcript, so that one which records
        what they do sees every comparison.
        """
        if left != right:
            raise Rejected(message, code=code)

    def require_nonzero(self, value: Ext, code: ErrorCode, message: str) -> None:
        """Refuse a proof with zero where there must be none."""
        if value == 0:
            raise Rejected(message, code=code)

    def hand_over(self) -> tuple[bytes, bytes]:
        """For a native twin: the last squeeze's seed, which right after a squeeze is the whole state, and the rest of
        the proof.
        """
        return self._seed, self._proof[self._position :]

    def take_back(self, seed: bytes, consumed: int) -> None:
        """Go on after a twin that received ``consumed`` bytes and ended with a squeeze."""
        self._position += consumed
        self._seed = seed
        self._state = hashlib.sha256(_RATCHET + seed)

    def note(self, name: str, values: Sequence[Ext]) -> None:
        """Name values that a verifier has computed. Nothing is kept here; a recording transcript may keep them."""

    def finish(self) -> None:
        """Refuse bytes that no message claimed.

        Raises:
            Rejected: trailing_bytes.
        """
        if self.remaining():
            raise Rejected(
                "the proof has bytes after its last message", code=ErrorCode.TRAILING_BYTES,
                expected=self._position, got=len(self._proof),
            )  # fmt: skip
