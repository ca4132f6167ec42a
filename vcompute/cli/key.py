# SPDX-License-Identifier: Apache-2.0
"""``vcompute key``: show, enrol, rotate, revoke and recover the key of a party."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.output import Json, Reporter
from vcompute.cli.party import key_in, passphrase_of, passphrase_option, state_option, thumbprint
from vcompute.errors import ProtocolError, UsageError

if TYPE_CHECKING:
    from vcompute.identity import Keyring
    from vcompute.node.keychain import Keychain
    from vcompute.session.identity import ClientIdentity
    from vcompute.transport.http import HttpLink

F = TypeVar("F", bound=Callable[..., Any])
KEY_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


def link_options(command: F) -> F:
    """The options of a command that talks to a coordinator without a session."""
    for option in (
        click.option("--insecure", is_flag=True, help="Allow plain HTTP beyond this machine."),
        click.option("--authority", type=KEY_FILE, help="Certificates to trust instead of the system's."),
        click.option("--url", required=True, help="Base URL of the coordinator."),
    ):
        command = option(command)
    return command


@click.group("key")
def key() -> None:
    """Show, enrol, rotate, revoke and recover the key of a party."""


def _with_link(link: dict[str, Any], work: "Callable[[HttpLink], Awaitable[Any]]") -> Any:
    import asyncio

    from vcompute.transport.http import HttpLink

    async def run() -> Any:
        made = HttpLink(link["url"], authority=link["authority"], insecure=link["insecure"])
        try:
            return await work(made)
        finally:
            await made.close()

    return asyncio.run(run())


def _chain(state: Path, passphrase_file: Path | None) -> "tuple[Keychain, Any]":
    """The keys of a state directory, locked so that no process works with them meanwhile."""
    from vcompute.node.keychain import Keychain
    from vcompute.node.store import lock, state_directory

    held = lock(state_directory(state))
    return Keychain(state, passphrase_of(passphrase_file)), held


def _now() -> int:
    import time

    return time.time_ns() // 1_000_000


def _shown(keys: "Keyring", name: bytes) -> dict[str, Json]:
    from vcompute.identity.lifecycle import RecordKind

    recovery = keys.recovery(name)
    rotations = sum(record.kind is RecordKind.ROTATION for record in keys.records(name))
    return {
        "party": name.hex(),
        "key": keys.current(name).hex(),
        "rotations": rotations,
        "revoked": keys.ended(name),
        "recovery": None if recovery is None else recovery.hex(),
    }


@key.command("show", cls=Command)
@state_option
@passphrase_option
@pass_reporter
def show(reporter: Reporter, state: Path, passphrase_file: Path | None) -> None:
    """Show a party's name, its key, and whether a rotation was begun and not finished."""
    from vcompute.node.keychain import Keychain

    chain = Keychain(state, passphrase_of(passphrase_file))
    who = chain.who
    reporter.result({**_shown(who.keys, who.name), "key": chain.key.thumbprint.hex(), "pending": bool(chain.pending)})


@key.command("lookup", cls=Command)
@link_options
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where the records go.")
@click.argument("party")
@pass_reporter
def lookup(reporter: Reporter, /, party: str, output: Path | None, **link: Any) -> None:
    """Ask a coordinator for the records of PARTY, a thumbprint of any of its keys, and check them."""
    from vcompute.codec import encode
    from vcompute.node.keychain import KeyFile, records_of

    wanted = thumbprint(party)
    found: ClientIdentity = _with_link(link, lambda made: records_of(made, wanted, _now))
    if output is not None:
        output.write_bytes(encode(KeyFile(found.keys.records(wanted))))
    reporter.result(_shown(found.keys, found.keys.name_of(wanted)))


@key.command("enrol", cls=Command)
@state_option
@passphrase_option
@link_options
@click.option("--role", type=click.Choice(["requester", "worker", "verifier"]), required=True, help="What it is.")
@click.option("--recovery", required=True, help="Thumbprint of the key that may take the party back.")
@pass_reporter
def enrol(
    reporter: Reporter, /, state: Path, passphrase_file: Path | None, role: str, recovery: str, **link: Any
) -> None:
    """Name the recovery key of a party, once and before its first rotation; keep that key off the device."""
    from vcompute.identity.lifecycle import KeyRecord, RecordKind
    from vcompute.identity.lifecycle import enrol as signed
    from vcompute.node.keychain import bring
    from vcompute.registry import Role

    chain, _held = _chain(state, passphrase_file)
    chain.require_settled()
    behind = thumbprint(recovery)
    record = KeyRecord(RecordKind.ENROLMENT, signed(chain.key, Role[role.upper()], _now(), behind))
    _with_link(link, lambda made: bring(made, chain.key, record))
    chain.keep([*chain.records, record])
    reporter.result(_shown(chain.who.keys, chain.who.name))


@key.command("rotate", cls=Command)
@state_option
@passphrase_option
@link_options
@pass_reporter
def rotate(reporter: Reporter, /, state: Path, passphrase_file: Path | None, **link: Any) -> None:
    """Go on with a new key under the same name; stop the party's process before. Killed under way, run it again."""
    from vcompute.node.keychain import bring

    chain, _held = _chain(state, passphrase_file)
    record = chain.begin(_now())
    _with_link(link, lambda made: bring(made, chain.key, record))
    chain.finish()
    reporter.result(_shown(chain.who.keys, chain.who.name))


@key.command("revoke", cls=Command)
@passphrase_option
@link_options
@click.option("--state", type=click.Path(path_type=Path, file_okay=False), help="State directory of the party itself.")
@click.option("--recovery", type=KEY_FILE, help="The party's recovery key.")
@click.option("--operator", type=click.Path(path_type=Path, file_okay=False), help="The coordinator's state directory.")
@click.option("--party", help="Thumbprint of a key of the party, with --recovery and --operator.")
@click.option(
    "--reason",
    type=click.Choice(["superseded", "compromised", "device_lost", "withdrawn"]),
    required=True,
    help="Why.",
)
@pass_reporter
def revoke(
    reporter: Reporter,
    /,
    passphrase_file: Path | None,
    state: Path | None,
    recovery: Path | None,
    operator: Path | None,
    party: str | None,
    reason: str,
    **link: Any,
) -> None:
    """Revoke a party's newest key: nothing it signs counts any more, from now on and for good."""
    from vcompute.identity import load_key
    from vcompute.identity.lifecycle import KeyRecord, RecordKind
    from vcompute.identity.lifecycle import revoke as signed
    from vcompute.node.keychain import bring, records_of
    from vcompute.registry import RevocationReason

    if sum(given is not None for given in (state, recovery, operator)) != 1 or (party is None) != (state is not None):
        raise UsageError("give --state, or --party with --recovery or --operator")
    phrase = passphrase_of(passphrase_file)
    if recovery is not None:
        signer = load_key(recovery, phrase)
    elif operator is not None:
        signer = key_in(operator, "settlement", phrase)
    else:
        signer = load_key((state or Path()) / "key.pem", phrase)
    wanted = signer.thumbprint if party is None else thumbprint(party)

    async def work(made: "HttpLink") -> bytes:
        found = await records_of(made, wanted, _now)
        newest = found.keys.current(found.keys.name_of(wanted))
        data = signed(signer, newest, _now(), RevocationReason[reason.upper()])
        await bring(made, signer, KeyRecord(RecordKind.REVOCATION, data))
        return newest

    newest = _with_link(link, work)
    reporter.result({"revoked": newest.hex(), "reason": reason})


@key.command("recover", cls=Command)
@state_option
@passphrase_option
@link_options
@click.option("--recovery", type=KEY_FILE, required=True, help="The party's recovery key.")
@click.option("--recovery-passphrase-file", type=KEY_FILE, help="File whose first line encrypts the recovery key.")
@click.option("--party", required=True, help="Thumbprint of a key of the party.")
@pass_reporter
def recover(
    reporter: Reporter,
    /,
    state: Path,
    passphrase_file: Path | None,
    recovery: Path,
    recovery_passphrase_file: Path | None,
    party: str,
    **link: Any,
) -> None:
    """Take a party back with its recovery key: a new key in a new state directory speaks for it."""
    from vcompute.identity import load_key
    from vcompute.identity.lifecycle import KeyRecord, RecordKind
    from vcompute.identity.lifecycle import recover as signed
    from vcompute.node.keychain import bring, records_of
    from vcompute.registry import ErrorCode

    behind = load_key(recovery, passphrase_of(recovery_passphrase_file))
    key_in(state, "key", passphrase_of(passphrase_file))
    chain, _held = _chain(state, passphrase_file)
    wanted = thumbprint(party)

    async def work(made: "HttpLink") -> tuple[KeyRecord, ...]:
        found = await records_of(made, wanted, _now)
        name = found.keys.name_of(wanted)
        if chain.key.thumbprint != found.keys.current(name):
            if found.keys.recovery(name) != behind.thumbprint:
                raise ProtocolError("the party enrolled another recovery key", code=ErrorCode.UNEXPECTED_SIGNER)
            sequence = 1 + sum(record.kind is RecordKind.ROTATION for record in found.keys.records(name))
            data = signed(behind, found.keys.current(name), chain.key, sequence, _now())
            await bring(made, chain.key, KeyRecord(RecordKind.ROTATION, data))
        return (await records_of(made, wanted, _now)).keys.records(name)

    chain.keep(_with_link(link, work))
    reporter.result(_shown(chain.who.keys, chain.who.name))
