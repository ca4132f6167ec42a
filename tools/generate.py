# SPDX-License-Identifier: Apache-2.0
"""Write every generated file, or with ``--check`` fail where one is stale."""

import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
STEPS = ("generate_registry.py", "generate_cddl.py", "generate_model.py", "generate_vectors.py", "soundness_figures.py")


def main(argv: list[str]) -> int:
    status = 0
    for step in STEPS:
        status |= subprocess.run([sys.executable, str(TOOLS / step), *argv], check=False).returncode
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
