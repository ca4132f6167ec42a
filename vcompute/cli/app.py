# SPDX-License-Identifier: Apache-2.0
"""The ``vcompute`` group: its commands by name, loaded when used, and the one place where failures end."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NamedTuple, cast

import click

from vcompute.cli.output import Reporter
from vcompute.errors import UsageError, VcomputeError
from vcompute.registry import ErrorCode


class Entry(NamedTuple):
    """Where a command stands and what it does, so that ``--help`` imports none of them."""

    module: str
    attribute: str
    help: str


COMMANDS: Final[dict[str, Entry]] = {
    "demo": Entry(
        "vcompute.cli.demo",
        "demo",
        "Outsource 64 digit images to workers on this machine, honest and not, and pay for checked results.",
    ),
    "import": Entry("vcompute.cli.model", "import_command", "Turn a .tflite model into a .vcm file."),
    "inspect": Entry(
        "vcompute.cli.inspect",
        "inspect",
        "Show what a file holds: a model, commitment, proof, batch, message or array.",
    ),
    "run": Entry("vcompute.cli.model", "run", "Run a model on a batch of inputs, exactly."),
    "commit": Entry("vcompute.cli.commit", "commit", "Commit to a model, for verifiers that do not have it."),
    "prove": Entry("vcompute.cli.prove", "prove", "Run a model on a batch of inputs and prove the outputs."),
    "verify": Entry("vcompute.cli.prove", "verify", "Check a proof that a model gives these outputs on these inputs."),
    "suites": Entry("vcompute.cli.prove", "suites", "List the verification suites and their parameter sets."),
    "version": Entry("vcompute.cli.version", "version", "Show versions and the instruction set in use."),
    "conformance": Entry("vcompute.cli.conformance", "conformance", "Test an implementation of the protocol, offline."),
    "testee": Entry("vcompute.cli.conformance", "testee", "Be a testee: the reference library on JSON lines."),
    "keygen": Entry(
        "vcompute.cli.keygen", "keygen", "Make a device key and write it to PATH, a new file that only its owner reads."
    ),
    "key": Entry("vcompute.cli.key", "key", "Show, enrol, rotate, revoke and recover the key of a party."),
    "coordinator": Entry(
        "vcompute.cli.coordinator",
        "coordinator",
        "Match offers with workers, relay, and keep the ledger. Prints its address once it listens.",
    ),
    "worker": Entry(
        "vcompute.cli.worker",
        "worker",
        "Take tasks, run them, prove them, be paid. A first interrupt gives the leases back.",
    ),
    "verifier": Entry("vcompute.cli.worker", "verifier", "Judge the results of offers that name this verifier."),
    "submit": Entry(
        "vcompute.cli.submit",
        "submit",
        "Offer INPUT.npy, an array with a leading batch axis, as tasks and wait for the checked outputs.",
    ),
    "status": Entry("vcompute.cli.status", "status", "Show a coordinator's parties, tasks and totals."),
    "ledger": Entry("vcompute.cli.ledger", "ledger", "Look at a coordinator's ledger, audit it, put money into it."),
}
"""The commands in the order of ``--help``."""

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        return cast("click.Command", getattr(import_module(entry.module), entry.attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(f"no command {args[0]!r}; there are: {', '.join(COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.command("vcompute", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Outsource exact int8 inference to any device, and rely on the answer."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status; ``argv`` is without the program's name.

    A failure is one line on standard error, or with ``--json`` one object ``{"error": {"code", "message"}}`` on
    standard output; bad input never ends in a traceback.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    reporter = Reporter(json="--json" in arguments)
    try:
        status = cli.main(arguments, prog_name="vcompute", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        return _usage(reporter, error)
    except (click.Abort, KeyboardInterrupt):
        reporter.failure("interrupted", "interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away; keep the interpreter from flushing into it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except (VcomputeError, OSError, MemoryError) as error:
        return _failed(reporter, error)
    return status if isinstance(status, int) else 0


def _usage(reporter: Reporter, error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return EXIT_USAGE
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is not None and not reporter.json:
        click.echo(context.get_usage(), err=True)
    reporter.failure(ErrorCode.USAGE.name.lower(), message)
    return EXIT_USAGE


def _failed(reporter: Reporter, error: VcomputeError | OSError | MemoryError) -> int:
    if isinstance(error, VcomputeError):
        reporter.failure(error.code.name.lower(), str(error))
        is_usage = isinstance(error, UsageError) and error.code is ErrorCode.USAGE
        return EXIT_USAGE if is_usage else EXIT_FAILED
    if isinstance(error, OSError):
        reporter.failure(ErrorCode.UNREADABLE_FILE.name.lower(), str(error))
    else:
        reporter.failure(ErrorCode.LIMIT_EXCEEDED.name.lower(), "not enough memory")
    return EXIT_FAILED
