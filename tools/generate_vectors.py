# SPDX-License-Identifier: Apache-2.0
"""Write ``spec/vectors`` byte for byte: ``generate_vectors.py [--check]``.

Each group is a module of ``tools/vectors`` with a function ``group``. A new group is one more name in ``GROUPS``.
"""

import importlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "spec" / "vectors"
GROUPS = (
    "codec",
    "errors",
    "digests",
    "messages",
    "tasks",
    "compute",
    "proofs",
    "freivalds",
    "succinct",
    "trust",
    "policy",
)


def files() -> dict[Path, str]:
    """Every file and its text."""
    texts: dict[Path, str] = {}
    for name in GROUPS:
        group = importlib.import_module(f"vectors.{name}").group()
        texts[TARGET / "v1" / f"{group.name}.json"] = json.dumps(group.document, indent=1) + "\n"
    return texts


def main(argv: list[str]) -> int:
    texts = files()
    if "--check" in argv:
        stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
        stale += sorted(set((TARGET / "v1").glob("*.json")) - set(texts))
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run 'make generate'", file=sys.stderr)
        return 1 if stale else 0
    (TARGET / "v1").mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
