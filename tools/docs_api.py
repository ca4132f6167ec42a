# SPDX-License-Identifier: Apache-2.0
"""Write the pages of the API reference, one for each package of ``vcompute``, to a directory git ignores."""

from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).resolve().parent.parent / "vcompute"
HIDDEN: Final = ("_native", "data.digits")
"""Internal modules and scripts: read in their source, not in the reference."""


def modules() -> list[str]:
    """The dotted names of the public modules, packages before their modules."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not name.startswith(HIDDEN) and not any(part.startswith("_") for part in name.split(".")):
            names.append(name)
    return sorted(set(names), key=lambda name: name.split("."))


def _page(title: str, names: list[str]) -> str:
    lines = [title, "=" * len(title), ""]
    for name in names:
        full = f"vcompute.{name}" if name else "vcompute"
        if full != title:
            lines += [full, "-" * len(full), ""]
        lines += [f".. automodule:: {full}", ""]
    return "\n".join(lines)


def write(directory: Path) -> None:
    """Write the pages; a page whose text has not changed is left alone, so that builds stay incremental."""
    groups: dict[str, list[str]] = {}
    for name in modules():
        groups.setdefault(name.split(".")[0], []).append(name)
    directory.mkdir(parents=True, exist_ok=True)
    wanted: dict[Path, str] = {}
    for group, names in groups.items():
        title = f"vcompute.{group}" if group else "vcompute"
        wanted[directory / f"{title}.rst"] = _page(title, names)
    index = ["API reference", "=============", "", ".. toctree::", "   :maxdepth: 1", ""]
    index += [f"   {path.stem}" for path in wanted] + [""]
    wanted[directory / "index.rst"] = "\n".join(index)
    for path in directory.glob("*.rst"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
