# SPDX-License-Identifier: Apache-2.0
"""The command line: argument parsing and printing only.

Every command is a :class:`click.Command` of the class :class:`vcompute.cli.command.Command` in a module of its own,
named in :data:`COMMANDS`; nothing but ``click`` is imported until a command runs.

Every command takes ``--json`` after its name and then prints exactly one line of JSON on standard output; everything
else goes to standard error. Exit status: 0 done, 1 rejected or failed, 2 wrong usage.
"""

from vcompute.cli.app import COMMANDS, cli, main

__all__ = ["COMMANDS", "cli", "main"]
