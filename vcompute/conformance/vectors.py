# SPDX-License-Identifier: Apache-2.0
"""The vectors: JSON files that any implementation can replay, and the cases they make."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from vcompute.conformance.case import ALL_ROLES, Case, Failure, Level, Skip
from vcompute.conformance.testee import Testee
from vcompute.conformance.wire import to_bytes, to_text
from vcompute.errors import UsageError
from vcompute.registry import ErrorCode

FORMAT: Final = "vcompute-vectors/1"
VERSION: Final = "v1"
REQUIREMENT: Final = re.compile(r"^(:{3,})\{requirement\}[ \t]*(\S+)[ \t]*\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
"""A numbered requirement in a chapter."""


def directory() -> Path:
    """Where the vectors are: inside the installed package, or in the repository for an editable install."""
    for entry in (Path(str(resources.files("vcompute"))), Path(__file__).resolve().parent.parent):
        for candidate in (entry / "conformance" / "vectors", entry.parent / "spec" / "vectors"):
            if (candidate / VERSION).is_dir():
                return candidate
    raise UsageError("the vectors are not installed", code=ErrorCode.UNREADABLE_FILE, expected="conformance/vectors")


def _resolve(value: Any, data: Mapping[str, Any]) -> Any:
    """Put the file's shared data where ``{"data": NAME}`` stands, with ``drop`` bytes replaced by ``put`` at ``at``."""
    if isinstance(value, dict):
        if set(value) == {"data"} and isinstance(value["data"], str):
            return data[value["data"]]
        if set(value) == {"data", "at", "drop", "put"}:
            whole, place = to_bytes(data[value["data"]]), value["at"]
            return to_text(whole[:place] + to_bytes(value["put"]) + whole[place + value["drop"] :])
        return {key: _resolve(item, data) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, data) for item in value]
    return value


def compare(expected: Any, got: Any, path: str = "out") -> str | None:
    """The first place where an answer lacks or contradicts what is expected; members beyond it do not matter."""
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return path
        for key, value in expected.items():
            if key not in got:
                return f"{path}.{key}"
            place = compare(value, got[key], f"{path}.{key}")
            if place:
                return place
        return None
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, (left, right) in enumerate(zip(expected, got, strict=True)):
            place = compare(left, right, f"{path}[{index}]")
            if place:
                return place
        return None
    return None if type(expected) is type(got) and expected == got else path


def check_vector(testee: Testee, case: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    """Send one vector and compare.

    Raises:
        Failure: another answer than the vector's.
        Skip: the testee does not support the operation.
    """
    answer = testee.ask(case["op"], request)
    if answer.unsupported:
        raise Skip(f"{case['op']} is not supported")
    if "error" in case:
        if answer.error is None:
            raise Failure("accepted what must be refused", {"error": case["error"]}, answer.as_json())
        if answer.error != case["error"]:
            raise Failure("refused under another code", {"error": case["error"]}, answer.as_json())
        return
    if answer.error is not None:
        raise Failure(f"refused what is valid: {answer.message}", {"out": case["out"]}, answer.as_json())
    place = compare(case["out"], answer.out)
    if place:
        raise Failure(f"differs at {place}", {"out": case["out"]}, answer.as_json())


def _case(group: Mapping[str, Any], case: Mapping[str, Any], source: str) -> Case:
    request = _resolve(case["in"], group.get("data", {}))

    def script(testee: Testee) -> None:
        check_vector(testee, case, request)

    return Case(
        id=case["id"],
        level=Level[group["level"]],
        requirements=tuple(case["requirements"]),
        script=script,
        roles=tuple(case.get("roles", group.get("roles", ALL_ROLES))),
        flags=tuple(case["flags"]),
        source=source,
        op=case["op"],
        input=request,
        text=case.get("text", ""),
    )


def load_groups() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every vector file: its name and content."""
    base = directory() / VERSION
    for path in sorted(base.glob("*.json")):
        group = json.loads(path.read_text(encoding="utf-8"))
        if group["format"] != FORMAT:
            raise UsageError(f"{path.name}: vector format", code=ErrorCode.UNSUPPORTED_VERSION, expected=FORMAT)
        yield path.name, group


@cache
def load_cases() -> tuple[Case, ...]:
    """Every vector as a case."""
    return tuple(_case(group, case, name) for name, group in load_groups() for case in group["cases"])


@cache
def requirement_texts() -> Mapping[str, str]:
    """The text of each requirement, from the chapters that are shipped beside the vectors."""
    texts: dict[str, str] = {}
    for path in sorted((directory().parent / "chapters").glob("*.md")):
        for _, name, text in REQUIREMENT.findall(path.read_text(encoding="utf-8")):
            texts[name] = " ".join(text.split())
    return texts
