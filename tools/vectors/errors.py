# SPDX-License-Identifier: Apache-2.0
"""L0: the numbers and HTTP statuses of the registered errors."""

from vcompute.registry import HTTP_STATUS, ErrorCode
from vectors.base import Group


def group() -> Group:
    """The group ``errors``."""
    result = Group("errors", "L0", "Registered error codes: number, name, HTTP status.")
    for code in ErrorCode:
        out = {"name": code.name.lower(), "http": HTTP_STATUS[code]}
        result.valid(out["name"], "error.lookup", "VC-REG-001 VC-REG-002", {"number": int(code)}, out)
    for number in (0, 99, 299, 65535):
        result.refused(
            f"unregistered-{number}",
            "error.lookup",
            "VC-REG-001",
            {"number": number},
            "schema_violation",
            "not in the registry",
        )
    return result
