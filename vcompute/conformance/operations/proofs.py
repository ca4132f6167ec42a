# SPDX-License-Identifier: Apache-2.0
"""Operations on proofs: what a verifier accepts, and what a prover makes."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from vcompute.conformance.wire import to_bytes, to_text
from vcompute.proof.api import prove, verify
from vcompute.proof.statement import Statement
from vcompute.proof.suite import Policy
from vcompute.task import decode_batch, decode_model


def proof_verify(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{model, inputs, outputs, context, proof, parameter_sets?}`` -> ``{suite, parameter_set}``.

    ``parameter_sets`` are the numbers that the verifier's policy admits; the default policy without.
    """
    statement = Statement(
        decode_model(to_bytes(request["model"])),
        decode_batch(to_bytes(request["inputs"])),
        decode_batch(to_bytes(request["outputs"])),
        to_bytes(request["context"]),
    )
    policy = Policy(frozenset(request["parameter_sets"])) if "parameter_sets" in request else Policy()
    acceptance = verify(statement, to_bytes(request["proof"]), policy)
    return {"suite": acceptance.suite, "parameter_set": acceptance.parameter_set}


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


OPERATIONS: Final[dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]] = {
    "proof.verify": proof_verify,
    "proof.make": proof_make,
}
