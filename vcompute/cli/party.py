# SPDX-License-Identifier: Apache-2.0
"""What the commands of a deployment share: keys, state directories, the coordinator's address."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vcompute.errors import UsageError

if TYPE_CHECKING:
    from vcompute.identity import PrivateKey
    from vcompute.identity.bls import SecretKey
    from vcompute.identity.quorum import VerifierSet

F = TypeVar("F", bound=Callable[..., Any])
CACHE = 1 << 30

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory with this party's key and everything it must not forget.",
)
passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File whose first line encrypts the key.",
)


def connection_options(command: F) -> F:
    """The options of a command that talks to a coordinator."""
    for option in (
        click.option("--insecure", is_flag=True, help="Allow plain HTTP beyond this machine."),
        click.option(
            "--authority",
            type=click.Path(path_type=Path, dir_okay=False, exists=True),
            help="Certificates to trust instead of the system's.",
        ),
        click.option("--pin", help="Thumbprint the coordinator must have (64 hexadecimal digits)."),
        click.option("--url", required=True, help="Base URL of the coordinator."),
        state_option,
        passphrase_option,
    ):
        command = option(command)
    return command


def passphrase_of(path: Path | None) -> bytes | None:
    """The first line of a passphrase file."""
    return None if path is None else path.read_bytes().partition(b"\n")[0]


def key_in(state: Path, name: str, passphrase: bytes | None) -> "PrivateKey":
    """The key ``name`` of a state directory, made where there is none.

    Raises:
        UsageError: the key cannot be read or made.
    """
    from vcompute.identity import PrivateKey, load_key, save_key
    from vcompute.node.store import state_directory

    path = state_directory(state) / f"{name}.pem"
    if not path.exists():
        save_key(PrivateKey.generate(), path, passphrase)
    return load_key(path, passphrase)


def member_key_in(state: Path) -> "SecretKey":
    """The BLS key of a verifier's state directory, made where there is none.

    Raises:
        UsageError: no BLS backend is installed, or the file cannot be read or made.
    """
    import os

    from vcompute.identity.bls import GROUP_ORDER, SecretKey, load_backend
    from vcompute.node.store import state_directory
    from vcompute.registry import ErrorCode

    backend = load_backend()
    path = state_directory(state) / "member.key"
    try:
        if not path.exists():
            scalar = int.from_bytes(os.urandom(48), "big") % (GROUP_ORDER - 1) + 1
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"{scalar:064x}\n")
        return SecretKey(int(path.read_text(encoding="ascii"), 16), backend)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot use the member key {path}: {error}", code=ErrorCode.UNREADABLE_FILE) from error


def seed_in(state: Path) -> bytes:
    """The seed of a state directory that keys for confidential inputs come from, made where there is none.

    Raises:
        UsageError: the file cannot be read or made.
    """
    import os

    from vcompute.registry import ErrorCode

    path = state / "reader.seed"
    try:
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(os.urandom(32))
        seed = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot use the seed {path}: {error.strerror}", code=ErrorCode.UNREADABLE_FILE) from error
    if len(seed) != 32:
        raise UsageError(f"{path} is not a seed of 32 bytes", code=ErrorCode.UNREADABLE_FILE)
    return seed


def members_of(texts: tuple[str, ...], quorum: int) -> "VerifierSet":
    """A verifier set from the entries that verifiers print.

    Raises:
        UsageError: an entry is none.
    """
    from vcompute.codec import decode
    from vcompute.errors import EncodingError
    from vcompute.identity.quorum import Member, VerifierSet

    try:
        members = [decode(Member, bytes.fromhex(text)) for text in texts]
    except (ValueError, EncodingError) as error:
        raise UsageError("a member is the hexadecimal text that 'vcompute verifier --member' prints") from error
    return VerifierSet(tuple(sorted(members, key=lambda member: member.key)), quorum)


def thumbprint(text: str) -> bytes:
    """A thumbprint from hexadecimal.

    Raises:
        UsageError: it is none.
    """
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32:
        raise UsageError("a thumbprint is 64 hexadecimal digits", got=text)
    return value


@dataclass(frozen=True, slots=True)
class Connection:
    """Where and as whom a client connects."""

    state: Path
    url: str
    pin: str | None
    authority: Path | None
    insecure: bool
    passphrase_file: Path | None

    def arguments(self) -> dict[str, Any]:
        """The arguments that every client node takes."""
        import os

        from vcompute.blobs import BlobCache
        from vcompute.node.keychain import Keychain
        from vcompute.node.store import Store, lock, state_directory
        from vcompute.transport.http import HttpLink

        link = HttpLink(self.url, authority=self.authority, insecure=self.insecure)
        directory = state_directory(self.state)
        passphrase = passphrase_of(self.passphrase_file)
        key = key_in(directory, "key", passphrase)
        chain = Keychain(directory, passphrase)
        chain.require_settled()
        return {
            "key": key,
            "who": chain.who,
            "link": link,
            "store": Store(directory / "state.db"),
            "blobs": BlobCache(directory / "blobs", CACHE, durable=False),
            "coordinator": None if self.pin is None else thumbprint(self.pin),
            "nonce": os.urandom,
            "held": lock(directory),
            "seed": seed_in(directory),
        }
