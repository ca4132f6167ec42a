# SPDX-License-Identifier: Apache-2.0
"""L2: proofs that are accepted, and every way to be refused."""

from typing import Any

import numpy as np

from vcompute.codec import dumps, loads
from vcompute.codec.cbor import Value
from vcompute.proof.api import prove
from vcompute.proof.statement import Statement
from vcompute.proof.suite import decode_envelope, encode_envelope
from vcompute.registry import ParameterSetId, SuiteId
from vcompute.task import Batch, Model, decode_batch, encode_model, make_batch
from vectors.base import Group
from vectors.toys import int8, tiny_network, toys

CONTEXT = b"task" + bytes(28) + b"worker" + bytes(26)
REPLAY, FREIVALDS = int(ParameterSetId.EXACT), int(ParameterSetId.PUBLIC_128)


def group() -> Group:
    """The group ``proofs``."""
    result = Group(
        "proofs", "L2", "Proofs: what is accepted, and every way to be refused.", roles=["requester", "verifier"]
    )
    model = tiny_network()
    result.data("tiny", encode_model(model))
    result.data("tiny-deep", encode_model(tiny_network(16)))
    inputs = make_batch(int8("proofs/inputs", 3, 8))
    for suite in ("replay", "freivalds"):
        _Suite(result, suite, model, inputs).all()
    _operators(result)
    return result


class _Suite:
    """The cases of one suite on the small network."""

    def __init__(self, result: Group, suite: str, model: Model, inputs: Batch) -> None:
        self.result, self.suite, self.model, self.inputs = result, suite, model, inputs
        self.outputs, self.proof = prove(model, inputs, suite, CONTEXT)
        self.requirement = "VC-SUI-004" if suite == "replay" else "VC-SUI-005"
        self.good: dict[str, Any] = {
            "model": {"data": "tiny"},
            "inputs": inputs.encoded,
            "outputs": self.outputs.encoded,
            "context": CONTEXT,
            "proof": self.proof,
        }

    def accepted(self, name: str, out: dict[str, Any], **change: Any) -> None:
        requirements = f"VC-SUI-001 {self.requirement}"
        self.result.valid(f"{self.suite}/{name}", "proof.verify", requirements, {**self.good, **change}, out)

    def refused(self, name: str, error: str, text: str, requirement: str = "", **change: Any) -> None:
        requirement = requirement or self.requirement
        self.result.refused(f"{self.suite}/{name}", "proof.verify", requirement, {**self.good, **change}, error, text)

    def all(self) -> None:
        number = REPLAY if self.suite == "replay" else FREIVALDS
        info = {"suite": self.suite, "parameter_set": "exact" if self.suite == "replay" else "public-128"}
        self.accepted("good", info)
        self.accepted("policy-names-it", info, parameter_sets=[number])
        outputs, proof = prove(self.model, self.inputs, self.suite, b"")
        self.accepted("no-context", info, outputs=outputs.encoded, proof=proof, context=b"")
        one = make_batch(self.inputs.arrays[0][:1])
        outputs, proof = prove(self.model, one, self.suite, CONTEXT)
        self.accepted("one-sample", info, inputs=one.encoded, outputs=outputs.encoded, proof=proof)
        self.refused(
            "other-policy",
            "suite_not_accepted",
            "a policy that names another set",
            "VC-SUI-001",
            parameter_sets=[REPLAY + FREIVALDS - number],
        )
        self.refused("no-policy", "suite_not_accepted", "a policy that names nothing", "VC-SUI-001", parameter_sets=[])
        self.statement()
        self.envelope(number)
        self.lies(number)
        if self.suite == "freivalds":
            self.products()

    def statement(self) -> None:
        mismatch = "statement_mismatch"
        changed = self.inputs.arrays[0].copy()
        changed[0, 0] ^= 1
        lie = self.outputs.arrays[0].copy()
        lie[0, 0] ^= 1
        cases: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("other-context", "the proof of another task", {"context": b"other" + CONTEXT[5:]}),
            ("context-dropped", "no context", {"context": b""}),
            ("other-inputs", "one bit of the inputs", {"inputs": make_batch(changed).encoded}),
            ("other-outputs", "one bit of the outputs", {"outputs": make_batch(lie).encoded}),
            (
                "outputs-short",
                "outputs of two samples for three",
                {"outputs": make_batch(self.outputs.arrays[0][:2]).encoded},
            ),
            (
                "outputs-shape",
                "outputs of another shape",
                {"outputs": make_batch(self.outputs.arrays[0][:, :7]).encoded},
            ),
            (
                "outputs-int32",
                "outputs of another type",
                {"outputs": make_batch(self.outputs.arrays[0].astype("<i4")).encoded},
            ),
        )
        for name, text, change in cases:
            self.refused(name, mismatch, text, "VC-SUI-002", **change)
        wide = make_batch(int8("proofs/wide", 3, 16))
        outputs, proof = prove(tiny_network(16), wide, self.suite, CONTEXT)
        self.accepted(
            "other-model-itself",
            {"suite": self.suite},
            model={"data": "tiny-deep"},
            inputs=wide.encoded,
            outputs=outputs.encoded,
            proof=proof,
        )
        self.refused("other-model", mismatch, "the proof of another model", "VC-SUI-002", proof=proof)
        self.refused(
            "inputs-of-other-model",
            "invalid_input",
            "inputs that the model does not take",
            "VC-TSK-014",
            inputs=wide.encoded,
        )

    def envelope(self, number: int) -> None:
        base: Any = loads(self.proof)

        def edited(**change: Value) -> bytes:
            return dumps({**base, **{int(key[1:]): value for key, value in change.items()}})

        malformed = "proof_malformed"
        self.refused("empty", malformed, "no byte", "VC-TSK-015 VC-SUI-006", proof=b"")
        self.refused(
            "trailing", malformed, "a byte after the proof", "VC-TSK-015 VC-SUI-006", proof=self.proof + b"\x00"
        )
        self.refused("cut", malformed, "the last byte missing", "VC-TSK-015 VC-SUI-006", proof=self.proof[:-1])
        self.refused(
            "kind", malformed, "another kind of file", "VC-TSK-015 VC-SUI-006", proof=edited(k0="vcompute-model")
        )
        self.refused("version", malformed, "another version", "VC-TSK-015 VC-SUI-006", proof=edited(k1=2))
        flipped = bytes([base[4][0] ^ 1]) + base[4][1:]
        self.refused(
            "statement-flipped",
            "statement_mismatch",
            "one bit of the statement's digest",
            "VC-SUI-002",
            proof=edited(k4=flipped),
        )
        self.refused(
            "set-not-admitted",
            "suite_not_accepted",
            "a set without security",
            "VC-SUI-001",
            proof=edited(k3=int(ParameterSetId.TINY)),
        )
        self.refused(
            "set-unknown", "suite_not_accepted", "a set that is not registered", "VC-SUI-001", proof=edited(k3=59_999)
        )
        other = int(SuiteId.FREIVALDS if self.suite == "replay" else SuiteId.REPLAY)
        self.refused(
            "set-of-another-suite",
            "suite_not_accepted",
            "a suite with the set of another",
            "VC-SUI-001",
            proof=edited(k2=other),
        )

    def lies(self, number: int) -> None:
        """Outputs that are wrong, under a proof made for exactly them."""
        body = decode_envelope(self.proof).body
        suite = SuiteId.REPLAY if self.suite == "replay" else SuiteId.FREIVALDS
        for name, position in (("first", (0, 0)), ("last", (-1, -1))):
            for bit in (0, 7):
                lie = self.outputs.arrays[0].copy()
                lie[position] ^= np.int8(1 if bit == 0 else -128)
                outputs = make_batch(lie)
                proof = encode_envelope(suite, number, Statement(self.model, self.inputs, outputs, CONTEXT), body)
                text = f"bit {bit} of the {name} output, restated"
                self.refused(f"lie-{name}-bit{bit}", "output_mismatch", text, outputs=outputs.encoded, proof=proof)
        swapped = make_batch(self.outputs.arrays[0][::-1])
        proof = encode_envelope(suite, number, Statement(self.model, self.inputs, swapped, CONTEXT), body)
        self.refused(
            "samples-swapped", "output_mismatch", "the outputs of other samples", outputs=swapped.encoded, proof=proof
        )
        if self.suite == "replay":
            statement = Statement(self.model, self.inputs, self.outputs, CONTEXT)
            extra = encode_envelope(suite, number, statement, b"\x00")
            self.refused("body-not-empty", _code(statement, extra), "a body where none belongs", proof=extra)

    def products(self) -> None:
        envelope = decode_envelope(self.proof)
        statement = Statement(self.model, self.inputs, self.outputs, CONTEXT)

        def refused(name: str, body: bytes, text: str) -> None:
            proof = encode_envelope(SuiteId.FREIVALDS, FREIVALDS, statement, body)
            self.refused(name, _code(statement, proof), text, proof=proof)

        body = envelope.body
        products = np.frombuffer(body, "<i4")
        for name, index in (("first", 0), ("middle", len(products) // 2), ("last", len(products) - 1)):
            for step in (1, -1):
                wrong = products.copy()
                wrong[index] += step
                refused(
                    f"product-{name}-{'up' if step > 0 else 'down'}", wrong.tobytes(), f"the {name} product off by one"
                )
        refused(
            "product-high-bit",
            body[:3] + bytes([body[3] ^ 0x40]) + body[4:],
            "a product out of the range of its weights",
        )
        refused("products-short", body[:-4], "a product missing")
        refused("products-long", body + bytes(4), "a product too many")
        refused("products-cut", body[:-1], "a byte missing")
        refused("products-empty", b"", "no product")
        swapped = products.copy()
        swapped[[0, 1]] = swapped[[1, 0]]
        refused("products-swapped", swapped.tobytes(), "two products exchanged")


def _code(statement: Statement, proof: bytes) -> str:
    """The code under which the reference refuses; it must refuse."""
    from vcompute.errors import VcomputeError
    from vcompute.proof.api import verify

    try:
        verify(statement, proof)
    except VcomputeError as error:
        return error.code.name.lower()
    raise SystemExit("a wrong proof is accepted")


def _operators(result: Group) -> None:
    """Replay of every operator, and what freivalds cannot prove."""
    for toy in toys():
        inputs = toy.inputs()

        batch = decode_batch(inputs)
        outputs, proof = prove(toy.model, batch, "replay", CONTEXT)
        given = {
            "model": encode_model(toy.model),
            "inputs": inputs,
            "outputs": outputs.encoded,
            "context": CONTEXT,
            "proof": proof,
        }
        if toy.name.endswith(("/plain", "/double", "/equal", "/int32")):
            result.valid(f"operator/{toy.name}", "proof.verify", "VC-SUI-004", given, {"suite": "replay"})
        if toy.name in ("conv_2d/plain", "batch_matmul/plain", "add/equal"):
            statement = Statement(toy.model, batch, outputs, CONTEXT)
            given["proof"] = encode_envelope(SuiteId.FREIVALDS, FREIVALDS, statement, b"")
            text = "a network that freivalds does not prove"
            result.refused(
                f"unsupported/{toy.name}", "proof.verify", "VC-SUI-020", given, "suite_unsupported_model", text
            )
