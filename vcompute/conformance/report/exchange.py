# SPDX-License-Identifier: Apache-2.0
"""What was said before a scenario failed: requests, answers, and the messages in both with their fields by name."""

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from html import escape
from typing import Any, Final

from vcompute.codec import fields_of
from vcompute.conformance.testee import Exchange
from vcompute.conformance.wire import to_bytes
from vcompute.errors import UsageError, VcomputeError
from vcompute.messages import reopen

SHOWN: Final = 16
"""Bytes of a field that are shown."""


def exchanges(said: Sequence[Exchange]) -> Iterator[str]:
    """The last requests and answers as HTML, the last one that did something open."""
    if not said:
        return
    last = max((index for index, item in enumerate(said) if item.op != "session.state"), default=0)
    yield f"<p>The last {len(said)} requests and answers:</p>"
    for index, item in enumerate(said):
        opened = " open" if index == last else ""
        yield f"<details{opened}><summary><code>{escape(item.op)}</code> {escape(_title(item))}</summary><pre>"
        yield escape(f"-> {_plain(item.request)}")
        yield from _messages(item.request.get("message"))
        yield escape(f"<- {_plain(item.answer.as_json())}")
        for action in (item.answer.out or {}).get("actions", ()):
            yield from _messages(action.get("message") if isinstance(action, Mapping) else None)
        yield "</pre></details>"


def _title(item: Exchange) -> str:
    """What the request was about, in few words."""
    told = item.request.get("what") or item.request.get("operation") or item.request.get("role") or ""
    name = _named(item.request.get("message"))
    done = item.answer.error or ", ".join(_done(action) for action in (item.answer.out or {}).get("actions", ()))
    state = (item.answer.out or {}).get("state")
    return f"{told or name} -> {done or state or 'nothing'}".strip()


def _done(action: Any) -> str:
    if not isinstance(action, Mapping):
        return str(action)
    return f"{action.get('do')} {action.get('type', '')}".strip()


def _named(value: Any) -> str:
    opened = _opened(value)
    return "" if opened is None else type(opened.body).__name__


def _opened(value: Any) -> Any:
    try:
        return reopen(to_bytes(value))
    except (VcomputeError, UsageError):
        return None


def _plain(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 600 else f"{text[:600]} ... ({len(text)} characters)"


def _messages(value: Any) -> Iterator[str]:
    """The fields of a message, one a line."""
    signed = None if value is None else _opened(value)
    if signed is None:
        return
    yield escape(f"     {type(signed.body).__name__} {signed.digest.hex()[:16]} signed by {signed.signer.hex()[:16]}")
    for spec in fields_of(type(signed.body)):
        content = getattr(signed.body, spec.name)
        if content is not None:
            yield escape(f"       {spec.name}: {_field(content)}")


def _field(value: Any) -> str:
    if isinstance(value, bytes):
        return value[:SHOWN].hex() + (f" ... ({len(value)} bytes)" if len(value) > SHOWN else "")
    if isinstance(value, IntEnum):
        return f"{value.name.lower()} ({int(value)})"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_field, value))}]"
    return str(value) if isinstance(value, (bool, int, str)) else repr(value)[:200]
