# SPDX-License-Identifier: Apache-2.0
"""What a command says: one JSON line for programs, or text and tables for people."""

import json as json_module
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Reporter:
    """How a command reports. With ``json`` exactly one line goes to standard output; progress always goes to stderr."""

    json: bool = False

    def console(self, *, stderr: bool = False) -> "Console":
        """A rich console."""
        from rich.console import Console

        return Console(stderr=stderr, soft_wrap=True, highlight=False)

    def result(self, record: Mapping[str, Json], render: Callable[["Console"], Any] | None = None) -> None:
        """Print a command's result: the record as JSON, or what ``render`` draws; without it ``key  value`` lines."""
        if self.json:
            sys.stdout.write(json_module.dumps(record) + "\n")
        elif render is not None:
            render(self.console())
        else:
            width = max((len(key) for key in record), default=0)
            for key, value in record.items():
                sys.stdout.write(f"{key.replace('_', ' '):<{width}}  {_shown(value)}\n")

    def note(self, message: str) -> None:
        """Say something by the way, on standard error."""
        sys.stderr.write(f"{message}\n")

    def failure(self, code: str, message: str) -> None:
        """Report a failure."""
        if self.json:
            sys.stdout.write(json_module.dumps({"error": {"code": code, "message": message}}) + "\n")
            sys.stdout.flush()
        else:
            sys.stderr.write(f"vcompute: {code}: {message}\n")

    @contextmanager
    def progress(self, title: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
        """A progress bar on standard error while the block runs; the callable advances it.

        Nothing is drawn where standard error is no terminal. A ``total`` of None draws a pulse.
        """
        if not sys.stderr.isatty():
            yield lambda _step: None
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda step: bar.advance(task, step)


def _shown(value: Json) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case str():
            return value
        case Sequence():
            return ", ".join(_shown(item) for item in value) or "none"
        case Mapping():
            return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
        case _:
            return str(value)
