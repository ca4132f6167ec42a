# SPDX-License-Identifier: Apache-2.0
"""The reference library as a testee: one function for each operation of the testee protocol."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from vcompute.conformance.operations import (
    compute,
    content,
    encoding,
    messages,
    proofs,
    rules,
    sessions,
    succinct,
    trust,
)

Operation: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]

TESTEE_PROTOCOL: Final = 1
"""Version of the testee protocol."""


def operations(kernels: str = "portable") -> dict[str, Operation]:
    """Every operation by name. ``kernels`` is ``portable`` (numpy, the specification) or ``native`` (the C core)."""
    table: dict[str, Operation] = {
        **encoding.OPERATIONS,
        **content.OPERATIONS,
        **messages.OPERATIONS,
        **trust.OPERATIONS,
        **rules.OPERATIONS,
        **compute.operations(kernels),
        **proofs.OPERATIONS,
        **succinct.OPERATIONS,
        **sessions.operations(),
    }

    def hello(_request: Mapping[str, Any]) -> Mapping[str, Any]:
        from vcompute import __version__

        return {
            "protocol": TESTEE_PROTOCOL,
            "name": f"vcompute {__version__} ({kernels} kernels)",
            "roles": ["requester", "worker", "coordinator", "verifier"],
            "operations": sorted(table),
        }

    table["hello"] = hello
    return table
