# SPDX-License-Identifier: Apache-2.0
"""The base of every command: it adds ``--json`` and hands the command a :class:`Reporter`::

    @click.command("greet", cls=Command)
    @click.argument("name")
    @pass_reporter
    def greet(reporter: Reporter, name: str) -> None:
        '''Say hello.'''
        reporter.result({"greeting": f"hello {name}"})

A command raises typed errors and never prints one itself; a command that reports a rejection as its result returns
the exit status 1.
"""

from typing import Any

import click

from vcompute.cli.output import Reporter

pass_reporter = click.make_pass_decorator(Reporter)


class Command(click.Command):
    """A command with ``--json`` after its name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(click.Option(["--json", "as_json"], is_flag=True, help="Print one line of JSON."))

    def invoke(self, ctx: click.Context) -> Any:
        ctx.obj = Reporter(json=bool(ctx.params.pop("as_json")))
        return super().invoke(ctx)
