# SPDX-License-Identifier: Apache-2.0
"""``vcompute keygen``."""

from pathlib import Path

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.output import Reporter
from vcompute.cli.party import passphrase_of, passphrase_option


@click.command("keygen", cls=Command)
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@passphrase_option
@pass_reporter
def keygen(reporter: Reporter, path: Path, passphrase_file: Path | None) -> None:
    """Make a device key and write it to PATH, a new file that only its owner reads."""
    from vcompute.identity import PrivateKey, save_key

    key = PrivateKey.generate()
    save_key(key, path, passphrase_of(passphrase_file))
    reporter.result({"path": str(path), "thumbprint": key.thumbprint.hex(), "encrypted": passphrase_file is not None})
