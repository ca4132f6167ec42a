# SPDX-License-Identifier: Apache-2.0
"""Write the cffi binding of the native core: ``binding.py HEADER OUTPUT.c``.

The header is the single source: lines between ``/* cffi: begin */`` and ``/* cffi: end */`` are the
declarations, in the subset of C that cffi reads.
"""

import re
import sys
from pathlib import Path

from cffi import FFI


def declarations(header: str) -> str:
    """The parts of the header that cffi reads."""
    parts = re.findall(r"/\* cffi: begin \*/(.*?)/\* cffi: end \*/", header, flags=re.DOTALL)
    if not parts:
        raise SystemExit("the header has no '/* cffi: begin */ ... /* cffi: end */' part")
    return "\n".join(parts)


def main(header: str, output: str) -> None:
    ffi = FFI()
    ffi.cdef(declarations(Path(header).read_text(encoding="utf-8")))
    ffi.set_source("vcompute._native._core", '#include "vcompute.h"\n')
    ffi.emit_c_code(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
