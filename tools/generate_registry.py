# SPDX-License-Identifier: Apache-2.0
"""Write ``vcompute/registry.py`` from ``spec/registry/*.toml``: ``generate_registry.py [--check]``."""

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "vcompute" / "registry.py"

HEADER = '''# SPDX-License-Identifier: Apache-2.0
"""The registries of the protocol. Generated from ``spec/registry/*.toml`` by ``make generate``; do not edit."""

from enum import IntEnum, unique
from typing import Final, NamedTuple

'''


def rows(name: str, table: str) -> list[dict[str, Any]]:
    """The rows of one registry in order of id, refusing duplicates."""
    entries: list[dict[str, Any]] = tomllib.loads(
        (ROOT / "spec" / "registry" / f"{name}.toml").read_text(encoding="utf-8")
    )[table]
    entries.sort(key=lambda row: row["id"])
    for key in ("id", "name"):
        values = [row[key] for row in entries]
        if len(set(values)) != len(values):
            raise SystemExit(f"spec/registry/{name}.toml: a duplicate {key}")
    return entries


def constant(name: str) -> str:
    return name.upper().replace("-", "_")


def enum(title: str, doc: str, entries: Iterable[dict[str, Any]]) -> str:
    lines = ["", "@unique", f"class {title}(IntEnum):", f'    """{doc}"""', ""]
    for row in entries:
        lines += [f"    {constant(row['name'])} = {row['id']}", f'    """{row["text"]}"""', ""]
    return "\n".join(lines) + "\n"


ENUMS = (
    ("errors", "error", "ErrorCode", "The registered error codes."),
    ("operators", "operator", "Opcode", "The operators of operator set v1."),
    ("suites", "suite", "SuiteId", "The verification suites."),
    ("parameter_sets", "parameter_set", "ParameterSetId", "The parameter sets of the suites."),
    ("message_types", "message_type", "MessageType", "The messages of the protocol."),
    ("verdict_bases", "basis", "Basis", "What a verdict rests on."),
    ("roles", "role", "Role", "The roles of the protocol."),
    ("outcomes", "outcome", "Outcome", "What a receipt records."),
    ("yield_reasons", "yield_reason", "YieldReason", "Why a worker gives a lease back."),
    ("attestation_types", "attestation_type", "AttestationType", "Types of platform evidence about a device key."),
    ("revocation_reasons", "revocation_reason", "RevocationReason", "Why a key is revoked."),
    ("signature_schemes", "signature_scheme", "SignatureScheme", "Signature schemes of devices and quorums."),
    ("thermal_statuses", "thermal_status", "ThermalStatus", "How hot a device says it is, by severity."),
    ("transports", "transport", "TransportId", "The transports."),
    ("settlement", "driver", "SettlementId", "The settlement drivers."),
)


def tables() -> str:
    """The columns beside id, name and text."""
    errors, sets = rows("errors", "error"), rows("parameter_sets", "parameter_set")
    out = ["", "HTTP_STATUS: Final[dict[ErrorCode, int]] = {"]
    out += [f"    ErrorCode.{constant(row['name'])}: {row['http']}," for row in errors]
    out += ["}", '"""The HTTP status that carries each error (RFC 9457)."""', "", ""]
    out += ["class ParameterSetInfo(NamedTuple):", '    """What the registry says of a parameter set."""', ""]
    out += ["    suite: SuiteId", "    security_bits: int", "    secure: bool", "    name: str", "", ""]
    out += ["PARAMETER_SETS: Final[dict[ParameterSetId, ParameterSetInfo]] = {"]
    for row in sets:
        fields = f'SuiteId.{constant(row["suite"])}, {row["security_bits"]}, {row["secure"]}, "{row["name"]}"'
        out.append(f"    ParameterSetId.{constant(row['name'])}: ParameterSetInfo({fields}),")
    out += ["}", '"""The registered parameter sets, by id."""', ""]
    out += ["TRANSPORT_SCHEMES: Final[dict[TransportId, tuple[str, ...]]] = {"]
    for row in rows("transports", "transport"):
        schemes = "".join(f'"{scheme}", ' for scheme in row["schemes"]).removesuffix(
            " " if len(row["schemes"]) == 1 else ", "
        )
        out.append(f"    TransportId.{constant(row['name'])}: ({schemes}),")
    out += ["}", '"""The URL schemes of each transport."""', ""]
    return "\n".join(out)


def module() -> str:
    parts = [HEADER]
    for name, table, title, doc in ENUMS:
        if (ROOT / "spec" / "registry" / f"{name}.toml").exists():
            parts.append(enum(title, doc, rows(name, table)))
    parts.append(tables())
    return "".join(parts)


def main(argv: list[str]) -> int:
    text = module()
    if "--check" in argv:
        if TARGET.read_text(encoding="utf-8") != text:
            print(f"{TARGET.relative_to(ROOT)} is stale: run 'make generate'", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
