# SPDX-License-Identifier: Apache-2.0
"""L0: the numbers and HTTP statuses of the registered errors."""

from vcompute.registry import HTTP_STATUS, ErrorCode
from vectors.base import Group


def group() -> Group:
    """The group ``errors``."""
    result = Group("errors", "L0", "Registered error codes: number, name, HTTP status.")
    for hundred in range(8):
        codes = [code for code in ErrorCode if code // 100 == hundred]
        if codes:
            numbers = [int(code) for code in codes]
            out = [{"name": code.name.lower(), "http": HTTP_STATUS[code]} for code in codes]
            requirements = "VC-REG-001 VC-REG-002"
            result.valid(f"from-{100 * hundred}", "error.lookup", requirements, {"numbers": numbers}, {"errors": out})
    for number in (0, 99, 299, 65535):
        result.refused(
            f"unregistered-{number}",
            "error.lookup",
            "VC-REG-001",
            {"numbers": [number]},
            "schema_violation",
            "not in the registry",
        )
    return result
