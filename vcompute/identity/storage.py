# SPDX-License-Identifier: Apache-2.0
"""Key files: PKCS #8 in PEM, encrypted under a passphrase or readable by their owner alone."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from vcompute.errors import UsageError
from vcompute.identity.keys import PrivateKey
from vcompute.registry import ErrorCode

_MAX_FILE = 1 << 14


def save_key(key: PrivateKey, path: Path, passphrase: bytes | None = None) -> None:
    """Write a key to a new file of mode 0600; an existing file is never replaced.

    Raises:
        UsageError: the file exists or cannot be written.
    """
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    pem = key.wrapped.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise UsageError(f"{path} exists; keys are never overwritten, choose another file") from error
    except OSError as error:
        raise UsageError(
            f"cannot write the key file {path}: {error.strerror}", code=ErrorCode.UNREADABLE_FILE
        ) from error


def load_key(path: Path, passphrase: bytes | None = None) -> PrivateKey:
    """Read a key file.

    Raises:
        UsageError: the file is missing, not a P-256 key, encrypted under another passphrase, or unencrypted and
            readable by others than its owner.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(_MAX_FILE)
    except OSError as error:
        raise UsageError(
            f"cannot read the key file {path}: {error.strerror}", code=ErrorCode.UNREADABLE_FILE
        ) from error
    encrypted = b"BEGIN ENCRYPTED PRIVATE KEY" in pem
    if os.name == "posix" and not encrypted and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{path} is readable by others and not encrypted: run 'chmod 600 {path}'")
    if encrypted and not passphrase:
        raise UsageError(f"{path} is encrypted: a passphrase is needed")
    try:
        key = serialization.load_pem_private_key(pem, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(
            f"{path} is not a key file, or the passphrase is wrong", code=ErrorCode.UNREADABLE_FILE
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{path} holds another kind of key; a device key is on P-256", code=ErrorCode.INVALID_KEY)
    return PrivateKey(key)
