# SPDX-License-Identifier: Apache-2.0
"""What every generator of vectors uses: groups, cases, reproducible inputs.

Inputs come from SHAKE256 over the case's name, so that a case never changes because another one was added.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from vcompute.conformance.wire import to_bytes, to_text

FORMAT = "vcompute-vectors/1"


class Group:
    """The cases of one file."""

    def __init__(self, name: str, level: str, text: str, **extra: Any) -> None:
        self.name = name
        self.document: dict[str, Any] = {"format": FORMAT, "group": name, "level": level, "text": text, **extra}
        self.document["cases"] = []
        self.roles: tuple[str, ...] = ()
        """Roles of the cases that are added from here on; those of the group where it is empty."""

    def data(self, name: str, content: bytes) -> dict[str, str]:
        """Put bytes into the file once; returns the reference that stands for them in an input."""
        self.document.setdefault("data", {})[name] = to_text(content)
        cases = self.document.pop("cases")
        self.document["cases"] = cases  # the cases stay last
        return {"data": name}

    def edited(self, name: str, content: bytes) -> dict[str, Any]:
        """Bytes as an edit of the file's data of that name: ``drop`` bytes at ``at`` replaced by ``put``."""
        base = to_bytes(self.document["data"][name])
        if content == base:
            return {"data": name}
        most = min(len(base), len(content))
        start = next((i for i in range(most) if base[i] != content[i]), most)
        end = next((i for i in range(most - start) if base[-1 - i] != content[-1 - i]), most - start)
        put = to_text(content[start : len(content) - end])
        return {"data": name, "at": start, "drop": len(base) - end - start, "put": put}

    def valid(
        self, name: str, op: str, requirements: str, given: Mapping[str, Any], out: Mapping[str, Any], text: str = ""
    ) -> None:
        """A case with a result."""
        self._add(name, op, requirements, [], given, {"out": wire(out)}, text)

    def refused(
        self, name: str, op: str, requirements: str, given: Mapping[str, Any], error: str, text: str = ""
    ) -> None:
        """A case with one fault and the name of its error."""
        self._add(name, op, requirements, ["negative"], given, {"error": error}, text)

    def _add(
        self,
        name: str,
        op: str,
        requirements: str,
        flags: list[str],
        given: Mapping[str, Any],
        result: dict[str, Any],
        text: str,
    ) -> None:
        case: dict[str, Any] = {"id": f"{self.name}/{name}", "op": op, "requirements": requirements.split()}
        case |= {"flags": flags, "text": text} if text else {"flags": flags}
        if self.roles:
            case["roles"] = list(self.roles)
        self.document["cases"].append({**case, "in": wire(given), **result})


def wire(value: Any) -> Any:
    """A value as JSON: bytes as base64url."""
    if isinstance(value, (bytes, bytearray)):
        return to_text(bytes(value))
    if isinstance(value, Mapping):
        return {key: wire(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [wire(item) for item in value]
    return value


def xof(name: str, length: int) -> bytes:
    """Bytes that a name stands for."""
    return hashlib.shake_256(name.encode()).digest(length)
