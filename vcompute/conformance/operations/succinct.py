# SPDX-License-Identifier: Apache-2.0
"""Operations on succinct proofs: commitments, verification by model or commitment, and every step of a verifier."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from vcompute.conformance.wire import to_bytes, to_text
from vcompute.field import Ext, default_backend
from vcompute.field.portable import NumpyBackend
from vcompute.proof.api import verify
from vcompute.proof.statement import ModelHolder, Statement
from vcompute.proof.succinct.commitment import decode_commitment, encode_commitment
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.requant import Floor
from vcompute.proof.succinct.setting import PROTOCOL, prepare
from vcompute.proof.succinct.suite import holder_of
from vcompute.proof.succinct.tape import Entry, Kind, Tape
from vcompute.proof.succinct.verify import verify as run_verifier
from vcompute.proof.suite import Policy, decode_envelope
from vcompute.task import decode_batch, decode_model


def _statement(request: Mapping[str, Any]) -> Statement:
    holder: ModelHolder
    if "commitment" in request:
        holder = decode_commitment(to_bytes(request["commitment"]))
    else:
        holder = decode_model(to_bytes(request["model"]))
    inputs, outputs = (decode_batch(to_bytes(request[name])) for name in ("inputs", "outputs"))
    return Statement(holder, inputs, outputs, to_bytes(request["context"]))


def succinct_commit(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{model, parameter_set}`` -> ``{commitment}``; the set by its number."""
    model = decode_model(to_bytes(request["model"]))
    return {"commitment": to_text(encode_commitment(commit_model(model, request["parameter_set"], default_backend())))}


def succinct_constants(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{model}`` -> ``{limb_bits, nodes}``: for each requantised node K and D, Q and S in full, and M where it is
    divided.
    """
    prepared = prepare(decode_model(to_bytes(request["model"])))

    def node(index: int, floor: Floor) -> dict[str, Any]:
        lists = {"D": floor.slope, "Q": floor.offset, "S": floor.step}
        if floor.divisors:
            lists["M"] = floor.divisors
        decimal = {name: [str(number) for number in numbers] for name, numbers in lists.items()}
        return {"node": index, "K": floor.bits, "two_sided": floor.two_sided, **decimal}

    return {"limb_bits": prepared.limb_bits, "nodes": [node(*item) for item in sorted(prepared.floors.items())]}


def succinct_verify(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{model | commitment, inputs, outputs, context, proof, parameter_sets?}`` -> ``{parameter_set,
    security_bits}``, the bits rounded down.
    """
    policy = Policy(frozenset(request["parameter_sets"])) if "parameter_sets" in request else Policy()
    acceptance = verify(_statement(request), to_bytes(request["proof"]), policy)
    return {
        "parameter_set": acceptance.parameter_set,
        "security_bits": math.floor(acceptance.security.bits or 0),
    }


def elements(values: Sequence[Ext]) -> list[list[str]]:
    """Extension elements as pairs of decimal strings."""
    return [[str(value.c0), str(value.c1)] for value in values]


def step_of(entry: Entry) -> dict[str, Any]:
    """A step of a transcript in the form of the vectors."""
    step: dict[str, Any] = {entry.kind.value: entry.label}
    if entry.kind is Kind.NOTE:
        return {**step, "values": elements(entry.elements)}
    if entry.kind is Kind.SQUEEZE:
        step["state"] = to_text(entry.data)
        if entry.elements:
            step["challenges"] = elements(entry.elements)
        if entry.positions:
            step["positions"] = entry.positions
        return step
    step |= {"type": entry.type, "bytes": to_text(entry.data)}
    return {**step, "offset": entry.offset} if entry.kind is Kind.RECEIVE else step


def succinct_trace(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{model | commitment, inputs, outputs, context, proof}`` -> ``{steps}``.

    The steps are everything that the verifier's transcript absorbs, receives and squeezes, and the values that the
    verifier computes between, in order.
    """
    statement, envelope = _statement(request), decode_envelope(to_bytes(request["proof"]))
    backend, tape = NumpyBackend(), Tape(PROTOCOL, envelope.body)
    holder = holder_of(statement, envelope.body, envelope.parameter_set, backend)
    run_verifier(holder, statement, envelope.body, envelope.parameter_set, backend, tape)
    return {"steps": [step_of(entry) for entry in tape.entries]}


OPERATIONS: Final[dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]] = {
    "succinct.commit": succinct_commit,
    "succinct.constants": succinct_constants,
    "succinct.verify": succinct_verify,
    "succinct.trace": succinct_trace,
}
