# SPDX-License-Identifier: Apache-2.0
"""Operations on proofs: what a verifier accepts, and what a prover makes."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from vcompute.conformance.wire import to_bytes, to_text
from vcompute.proof import matmul
from vcompute.proof.api import prove, verify
from vcompute.proof.statement import Statement
from vcompute.proof.suite import Policy
from vcompute.task import decode_batch, decode_model
from vcompute.task.tensor import NDArray


def proof_verify(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{model, inputs, outputs, context, proof, parameter_sets?}`` -> ``{suite, parameter_set, security_bits}``.

    ``parameter_sets`` are the numbers that the verifier's policy admits; the default policy without. The bits are
    rounded down, and null where a suite is exact.
    """
    statement = Statement(
        decode_model(to_bytes(request["model"])),
        decode_batch(to_bytes(request["inputs"])),
        decode_batch(to_bytes(request["outputs"])),
        to_bytes(request["context"]),
    )
    policy = Policy(frozenset(request["parameter_sets"])) if "parameter_sets" in request else Policy()
    acceptance = verify(statement, to_bytes(request["proof"]), policy)
    bits = acceptance.security.bits
    return {
        "suite": acceptance.suite,
        "parameter_set": acceptance.parameter_set,
        "security_bits": None if bits is None else math.floor(bits),
    }


def proof_make(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{model, inputs, context, suite, parameter_set?}`` -> ``{outputs, proof}``."""
    outputs, proof = prove(
        decode_model(to_bytes(request["model"])),
        decode_batch(to_bytes(request["inputs"])),
        request["suite"],
        to_bytes(request["context"]),
        request.get("parameter_set"),
    )
    return {"outputs": to_text(outputs.encoded), "proof": to_text(proof)}


def _matrices(request: Mapping[str, Any]) -> tuple[NDArray, NDArray, NDArray]:
    m, k, n = (int(request[name]) for name in "MKN")
    a = np.frombuffer(to_bytes(request["a"]), np.int8).reshape(m, k)
    b = np.frombuffer(to_bytes(request["b"]), np.int8).reshape(k, n)
    return a, b, np.frombuffer(to_bytes(request["c"]), "<i4").reshape(m, n)


def matmul_point(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{M, K, N, a, b, c, context}`` -> ``{point}``, two decimal strings for each coordinate.

    The matrices are row-major, c little-endian.
    """
    point = matmul.public_point(*_matrices(request), to_bytes(request["context"]))
    return {"point": [[str(item.c0), str(item.c1)] for item in point]}


def matmul_check(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{M, K, N, a, b, c, context}`` -> ``{}`` where the product is right, checked in public."""
    matmul.check_matmul(*_matrices(request), public=True, context=to_bytes(request["context"]))
    return {}


OPERATIONS: Final[dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]] = {
    "proof.verify": proof_verify,
    "proof.make": proof_make,
    "matmul.point": matmul_point,
    "matmul.check": matmul_check,
}
