# SPDX-License-Identifier: Apache-2.0
"""Put MathJax where the book's build finds it, so that its pages show mathematics offline.

MathJax is not committed: it comes from the npm registry once, is checked against the digest below and kept in
``build/docs-assets``. ``docs_mathjax.py [DIRECTORY]`` does the same by hand.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

VERSION: Final = "3.2.2"
INTEGRITY: Final = "sha512-Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw=="
SCRIPT: Final = "tex-chtml-full.js"
FONTS: Final = "output/chtml/fonts/woff-v2/"
PREFIX: Final = "package/es5/"
DEFAULT: Final = Path(__file__).resolve().parent.parent / "build" / "docs-assets" / "mathjax"


class MathJaxMissing(Exception):
    """MathJax is not there and cannot be fetched; the message says what to do."""


def _download(directory: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise MathJaxMissing("the book needs MathJax once and takes it with npm: install npm (Debian: apt install npm)")
    command = [npm, "pack", "--silent", f"mathjax@{VERSION}"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    archive = directory / f"mathjax-{VERSION}.tgz"
    if done.returncode != 0 or not archive.is_file():
        raise MathJaxMissing(
            f"the book needs MathJax {VERSION} once, and '{' '.join(command[1:])}' failed; connect to an npm registry,"
            f" or unpack that package's es5 directory into {DEFAULT}: {done.stderr.strip()[-300:]}"
        )
    return archive


def _unpack(archive: Path, target: Path) -> None:
    digest = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != INTEGRITY:
        raise MathJaxMissing(f"mathjax-{VERSION}.tgz is not the expected file: expected {INTEGRITY}, got {digest}")
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.removeprefix(PREFIX)
            wanted = name == SCRIPT or (name.startswith(FONTS) and name.endswith(".woff"))
            content = tar.extractfile(member) if wanted and member.isfile() else None
            if content is not None:
                path = target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())


def ensure(target: Path = DEFAULT) -> Path:
    """The directory that holds MathJax's script and fonts, fetched where it is not there yet.

    Raises:
        MathJaxMissing: it is not there and cannot be fetched.
    """
    if not (target / SCRIPT).is_file():
        with tempfile.TemporaryDirectory() as scratch:
            _unpack(_download(Path(scratch)), target)
    return target


if __name__ == "__main__":
    try:
        print(ensure(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT))
    except MathJaxMissing as error:
        raise SystemExit(str(error)) from error
