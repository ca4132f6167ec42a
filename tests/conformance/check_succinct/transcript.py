# SPDX-License-Identifier: Apache-2.0
"""The transcript, and a record of every step."""

import base64
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from field import Element, P, demand

DIGEST = 27
TYPES = ("squeeze", "bytes", "integer", "base elements", "extension elements", "digests", "nonce")


def pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def shown(values: Sequence[Element]) -> list[list[str]]:
    return [[str(a), str(b)] for a, b in values]


@dataclass
class Transcript:
    """VC-TRN-001 to VC-TRN-005, and a record of every step."""

    proof: bytes
    place: int = 0
    steps: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hash = hashlib.sha256(b"vcompute transcript v1\0")
        self.absorb(1, "protocol", b"succinct")

    def feed(self, kind: int, label: str, data: bytes) -> None:
        self.hash.update(bytes([kind, len(label)]) + label.encode() + len(data).to_bytes(8, "little") + data)

    def absorb(self, kind: int, label: str, data: bytes) -> None:
        self.feed(kind, label, data)
        self.steps.append({"absorb": label, "type": TYPES[kind], "bytes": pack(data)})

    def integer(self, label: str, value: int) -> None:
        self.absorb(2, label, value.to_bytes(8, "little"))

    def receive(self, kind: int, label: str, length: int) -> bytes:
        data = self.proof[self.place : self.place + length]
        demand(len(data) == length, f"ends inside {label}")
        self.feed(kind, label, data)
        self.steps.append({"receive": label, "type": TYPES[kind], "bytes": pack(data), "offset": self.place})
        self.place += length
        return data

    def words(self, kind: int, label: str, count: int) -> list[int]:
        data = self.receive(kind, label, 8 * count)
        values = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]
        demand(all(value < P for value in values), "an element of p or more")
        return values

    def elements(self, label: str, count: int) -> list[Element]:
        values = self.words(4, label, 2 * count)
        return list(zip(values[::2], values[1::2], strict=True))

    def digests(self, label: str, count: int) -> list[bytes]:
        data = self.receive(5, label, DIGEST * count)
        return [data[at : at + DIGEST] for at in range(0, len(data), DIGEST)]

    def squeeze(self, label: str) -> bytes:
        self.feed(0, label, b"")
        state = self.hash.digest()
        self.hash = hashlib.sha256(b"vcompute ratchet v1\0" + state)
        self.steps.append({"squeeze": label, "state": pack(state)})
        return state

    def challenges(self, label: str, count: int) -> list[Element]:
        stream = (word for word in randomness(self.squeeze(label)) if word < P)
        drawn = [(next(stream), next(stream)) for _ in range(count)]
        if drawn:
            self.steps[-1]["challenges"] = shown(drawn)
        return drawn

    def challenge(self, label: str) -> Element:
        return self.challenges(label, 1)[0]

    def positions(self, label: str, count: int, bits: int) -> list[int]:
        stream = randomness(self.squeeze(label))
        drawn = [next(stream) % 2**bits for _ in range(count)]
        self.steps[-1]["positions"] = drawn
        return sorted(set(drawn))

    def work(self, label: str, bits: int) -> None:
        if bits:
            digest = hashlib.sha256(self.squeeze(label) + self.receive(6, label, 8)).digest()
            demand(int.from_bytes(digest, "big") >> 256 - bits == 0, "a nonce that does not do its work")

    def note(self, name: str, *values: Element) -> None:
        self.steps.append({"note": name, "values": shown(values)})


def randomness(state: bytes) -> Any:
    for counter in itertools.count():
        block = hashlib.sha256(state + counter.to_bytes(8, "little")).digest()
        yield from (int.from_bytes(block[at : at + 8], "little") for at in range(0, 32, 8))
