# SPDX-License-Identifier: Apache-2.0
"""L2: succinct proofs under the parameter set ``tiny``, step by step, and every way to be refused."""

from collections.abc import Sequence
from typing import Any

from vcompute.codec import decode, encode
from vcompute.conformance.operations.succinct import succinct_constants, succinct_trace
from vcompute.conformance.wire import to_text
from vcompute.errors import VcomputeError
from vcompute.field import P, default_backend
from vcompute.proof.api import prove, verify
from vcompute.proof.statement import ModelHolder, Statement
from vcompute.proof.succinct.commitment import (
    CommitmentRecord,
    decode_commitment,
    encode_commitment,
)
from vcompute.proof.succinct.dump import Section, dump_proof
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.suite import SUITE_WITH_WEIGHTS
from vcompute.proof.suite import Policy, decode_envelope, encode_envelope
from vcompute.registry import ParameterSetId, SuiteId
from vcompute.task import Batch, Model, encode_model, make_batch
from vectors.base import Group
from vectors.succinct_lies import LIES, forged, long_remainder
from vectors.succinct_models import dense_network, interior_softmax, models
from vectors.toys import int8

CONTEXT = b"task 7, worker 9"
TINY, STANDARD = int(ParameterSetId.TINY), int(ParameterSetId.STANDARD)
MESSAGES = {
    "revealed": "VC-SUC-018",
    "fraction pair": "VC-SUC-015",
    "fraction sumcheck": "VC-SUC-015",
    "product sumcheck": "VC-SUC-017",
    "linear sum": "VC-SUC-017",
    "bilinear sum": "VC-SUC-019",
    "bilinear sumcheck": "VC-SUC-019",
    "bilinear operands": "VC-SUC-019",
    "right table": "VC-SUC-017",
    "left table": "VC-SUC-017",
}
TRACED = "VC-SUC-002 VC-SUC-003 VC-SUC-005 VC-SUC-006 VC-SUC-007 VC-SUC-013 VC-SUC-016"
POLICY = Policy(frozenset({TINY}))


def group() -> Group:
    """The group ``succinct``."""
    text = "Succinct proofs under the set tiny: every step of a verifier, and every way to be refused."
    result = Group("succinct", "L2", text, roles=["requester", "verifier"])
    known = models()
    for name, model in known.items():
        commitment = commit_model(model, TINY, default_backend())
        result.data(name, encode_model(model))
        result.data(f"{name}-commitment", encode_commitment(commitment))
        given = {"model": {"data": name}, "parameter_set": TINY}
        out = {"commitment": encode_commitment(commitment)}
        result.valid(f"commit/{name}", "succinct.commit", "VC-SUC-008 VC-SUC-009 VC-SUC-010", given, out)
        constants = succinct_constants({"model": to_text(encode_model(model))})
        given = {"model": {"data": name}}
        result.valid(f"constants/{name}", "succinct.constants", "VC-SUC-008 VC-SUC-009", given, constants)
    interior = encode_model(interior_softmax())
    text = "a SOFTMAX before another layer"
    given = {"model": interior, "parameter_set": TINY}
    result.refused("commit/interior-softmax", "succinct.commit", "VC-SUC-004", given, "suite_unsupported_model", text)
    cases = _Cases(result, "dense", known["dense"], make_batch(int8("succinct/dense", 2, 5)))
    cases.accepted()
    cases.traced()
    cases.statements()
    cases.messages()
    cases.forms()
    cases.commitments()
    more = _Cases(result, "image", known["image"], make_batch(int8("succinct/image", 3, 6, 6, 3)))
    more.accepted()
    more.lies()
    product = _Cases(result, "gated", known["gated"], make_batch(int8("succinct/gated", 2, 4)))
    product.accepted()
    product.traced()
    product.messages(("bilinear sum", "bilinear sumcheck", "bilinear operands"))
    windows = _Cases(result, "pooled", known["pooled"], make_batch(int8("succinct/pooled", 2, 5, 4, 2)))
    windows.accepted(" VC-SUC-023 VC-SUC-024 VC-SUC-027")
    windows.lies()
    one = _Cases(result, "dense", known["dense"], make_batch(int8("succinct/one", 1, 5)), "one-sample")
    one.accepted()
    one.traced()
    heads = _Cases(result, "heads", known["heads"], make_batch(int8("succinct/heads", 2, 3, 4)))
    heads.accepted(" VC-SUC-019 VC-SUC-026 VC-SUC-027")
    heads.traced()
    heads.lies()
    scene = _Cases(result, "scene", known["scene"], make_batch(int8("succinct/scene", 2, 4, 4, 2)))
    scene.accepted(" VC-SUC-018 VC-SUC-023 VC-SUC-024 VC-SUC-026 VC-SUC-027")
    scene.traced()
    scene.lies()
    scene.other_scores()
    narrow = _Cases(result, "narrow", known["narrow"], make_batch(int8("succinct/narrow", 2, 3, 3, 2)))
    narrow.accepted(" VC-SUC-028")
    narrow.traced()
    narrow.long_remainder()
    return result


class _Cases:
    """The cases of one statement."""

    def __init__(self, result: Group, name: str, model: Model, inputs: Batch, prefix: str = "") -> None:
        self.result, self.name, self.model, self.inputs = result, name, model, inputs
        self.prefix = prefix or name
        self.outputs, self.proof = prove(model, inputs, "succinct", CONTEXT, "tiny")
        self.body = decode_envelope(self.proof).body
        self.commitment = commit_model(model, TINY, default_backend())
        self.statement = Statement(self.commitment, inputs, self.outputs, CONTEXT)
        result.data(f"{self.prefix}-proof", self.proof)
        self.good: dict[str, Any] = {
            "commitment": {"data": f"{name}-commitment"},
            "inputs": inputs.encoded,
            "outputs": self.outputs.encoded,
            "context": CONTEXT,
            "proof": {"data": f"{self.prefix}-proof"},
            "parameter_sets": [TINY],
        }

    def accepted(self, also: str = "") -> None:
        """With the commitment, with the model, and a proof that leaves the weights to the verifier; ``also`` names more
        requirements.
        """
        bits = verify(self.statement, self.proof, POLICY).security.bits or 0
        out = {"parameter_set": "tiny", "security_bits": int(bits)}
        with_model = {key: item for key, item in self.good.items() if key != "commitment"}
        with_model["model"] = {"data": self.name}
        for name, requirement, given in (("commitment", "VC-SUC-011", self.good), ("model", "VC-SUC-012", with_model)):
            self.result.valid(f"{self.prefix}/accepted-{name}", "succinct.verify", requirement + also, given, out)
        open_body = SUITE_WITH_WEIGHTS.prove(self.model, self.inputs, CONTEXT, TINY, 1)[1]
        proof = self.envelope(open_body)
        given = {**with_model, "proof": proof}
        bits = verify(Statement(self.model, self.inputs, self.outputs, CONTEXT), proof, POLICY).security.bits or 0
        out = {"parameter_set": "tiny", "security_bits": int(bits)}
        self.result.valid(f"{self.prefix}/accepted-without-opening", "succinct.verify", "VC-SUC-012" + also, given, out)
        request = {"model": {"data": self.name}, "inputs": self.inputs.encoded, "context": CONTEXT}
        request |= {"suite": "succinct", "parameter_set": "tiny"}
        made = {"outputs": self.outputs.encoded, "proof": self.proof}
        self.result.valid(f"{self.prefix}/made", "proof.make", "VC-SUC-022" + also, request, made)
        if self.prefix == "dense":
            given = {**self.good, "proof": proof}
            text = "a proof that leaves the weights to a verifier that has none"
            self.result.refused(
                "dense/weights-not-opened", "succinct.verify", "VC-SUC-012", given, "suite_unsupported_model", text
            )

    def traced(self) -> None:
        """Every step of the verifier."""
        given = {key: item for key, item in self.good.items() if key != "parameter_sets"}
        request = {key: to_text(item) for key, item in given.items() if isinstance(item, bytes)}
        request |= {"commitment": to_text(encode_commitment(self.commitment)), "proof": to_text(self.proof)}
        self.result.valid(
            f"{self.prefix}/trace", "succinct.trace", TRACED, given, succinct_trace(request), "every step"
        )

    def envelope(self, body: bytes, outputs: Batch | None = None) -> bytes:
        statement = Statement(self.commitment, self.inputs, outputs or self.outputs, CONTEXT)
        return encode_envelope(SuiteId.SUCCINCT, TINY, statement, body)

    def refused(self, name: str, text: str, requirement: str = "VC-SUC-014", **change: Any) -> None:
        """A fault; the reference says with which code it is refused, and must refuse."""
        place = change.pop("body_place", None)
        if place is not None:
            change["proof"] = self.envelope(self.body[:place] + bytes([self.body[place] ^ 1]) + self.body[place + 1 :])
        inputs, outputs = change.pop("inputs", self.inputs), change.pop("outputs", self.outputs)
        given = {**self.good, **change, "inputs": inputs.encoded, "outputs": outputs.encoded}
        proof, policy = change.get("proof", self.proof), Policy(frozenset(given["parameter_sets"]))
        try:
            holder: ModelHolder = self.commitment
            if "commitment" in change:
                holder = decode_commitment(change["commitment"])
                given["commitment"] = self.result.edited(f"{self.name}-commitment", change["commitment"])
            verify(Statement(holder, inputs, outputs, given["context"]), proof, policy)
        except VcomputeError as error:
            code = error.code.name.lower()
        else:
            raise SystemExit(f"{name}: a wrong proof is accepted")
        given["proof"] = self.result.edited(f"{self.prefix}-proof", proof)
        self.result.refused(f"{self.prefix}/{name}", "succinct.verify", requirement, given, code, text)

    def statements(self) -> None:
        """The statement altered, under the envelope as it is and under one that fits."""
        lie = self.outputs.arrays[0].copy()
        lie[-1, -1] ^= 1
        wrong = make_batch(lie)
        self.refused("other-outputs", "one bit of the outputs", outputs=wrong)
        self.refused(
            "other-outputs-restated", "one bit of the outputs, and the envelope to fit", outputs=wrong,
            proof=self.envelope(self.body, wrong),
        )  # fmt: skip
        changed = self.inputs.arrays[0].copy()
        changed[0, 0] ^= 1
        inputs = make_batch(changed)
        statement = Statement(self.commitment, inputs, self.outputs, CONTEXT)
        restated = encode_envelope(SuiteId.SUCCINCT, TINY, statement, self.body)
        self.refused("other-inputs-restated", "one bit of the inputs, and the envelope to fit", proof=restated,
                     inputs=inputs)  # fmt: skip
        statement = Statement(self.commitment, self.inputs, self.outputs, b"task 8, worker 9")
        restated = encode_envelope(SuiteId.SUCCINCT, TINY, statement, self.body)
        self.refused("other-context-restated", "the proof of another task, and the envelope to fit", proof=restated,
                     context=b"task 8, worker 9")  # fmt: skip
        good = {**self.good}
        del good["parameter_sets"]
        self.result.refused(
            f"{self.prefix}/default-policy", "succinct.verify", "VC-SUC-020", good, "suite_not_accepted",
            "a proof under tiny, and a verifier that was not told to take it",
        )  # fmt: skip
        renamed = encode_envelope(SuiteId.SUCCINCT, STANDARD, self.statement, self.body)
        self.refused("set-renamed", "a proof under tiny that says standard", "VC-SUC-020", proof=renamed,
                     parameter_sets=[TINY, STANDARD])  # fmt: skip

    def messages(self, labels: Sequence[str] = ()) -> None:
        """One bit of the first and last message of each kind, or of these kinds; and what is not canonical."""
        sections = dump_proof(self.statement, self.body, TINY).sections
        for label in labels or dict.fromkeys(section.label for section in sections):
            named = [section for section in sections if section.label == label]
            ends = {"first": named[0].offset, "last": named[-1].offset + named[-1].size - 1}
            for which, place in ends.items():
                text = f"one bit of the {which} message {label}"
                name = f"bit/{label.replace(' ', '-')}-{which}"
                self.refused(name, text, f"VC-SUC-014 {MESSAGES.get(label, '')}".strip(), body_place=place)
        if not labels:
            self._canonical(sections)

    def _canonical(self, sections: tuple[Section, ...]) -> None:
        for label in ("fraction pair", "linear sum", "rows", "final polynomial"):
            place = next(section.offset for section in sections if section.label == label)
            word = int.from_bytes(self.body[place : place + 8], "little")
            big = (word + P if word + P < 1 << 64 else (1 << 64) - 1).to_bytes(8, "little")
            body = self.body[:place] + big + self.body[place + 8 :]
            text = f"the first element of {label} written as p or more"
            self.refused(f"noncanonical/{label.replace(' ', '-')}", text, "VC-FLD-001", proof=self.envelope(body))

    def lies(self) -> None:
        """Proofs of runs in which one node did something else, under statements that fit them."""
        for lie in LIES[self.name]:
            outputs, body = forged(self.model, lie, self.inputs, CONTEXT)
            node = self.model.graph.nodes[lie.node].operator.name.upper()
            self.refused(
                f"otherwise/{lie.name}", f"a run in which a {node} did something else: {lie.text}", lie.requirement,
                outputs=outputs, proof=self.envelope(body, outputs),
            )  # fmt: skip

    def long_remainder(self) -> None:
        """rem of M and more."""
        outputs, body = long_remainder(self.model, 1, 2, self.inputs, CONTEXT)
        text = "a remainder that a divisor was added to, every limb of it in its range"
        self.refused("remainder", text, "VC-SUC-028", outputs=outputs, proof=self.envelope(body, outputs))

    def other_scores(self) -> None:
        """A final SOFTMAX of other outputs."""
        first, *rest = (array.copy() for array in self.outputs.arrays)
        first.reshape(-1)[0] ^= 1
        outputs, text = make_batch((first, *rest)), "one bit of an output of the final SOFTMAX, and the envelope to fit"
        proof = self.envelope(self.body, outputs)
        self.refused("otherwise/softmax", text, "VC-SUC-018", outputs=outputs, proof=proof)

    def forms(self) -> None:
        """Lengths, formats and modes."""
        body = self.body
        for name, altered, text in (
            ("trailing-byte", body + b"\0", "a byte after the last message"),
            ("last-byte-missing", body[:-1], "a byte missing"),
            ("half", body[: len(body) // 2], "half of the proof"),
            ("empty", b"", "no proof at all"),
            ("twice", body + body, "the proof twice"),
        ):
            self.refused(f"length/{name}", text, "VC-TRN-004", proof=self.envelope(altered))
        for name, altered, text in (
            ("other-format", bytes([9]) + body[1:], "another format"),
            ("other-mode", body[:1] + bytes([0]) + body[2:], "the mode that leaves the weights to the verifier"),
            ("no-mode", body[:1] + bytes([7]) + body[2:], "a mode that does not exist"),
        ):
            self.refused(f"header/{name}", text, "VC-SUC-001", proof=self.envelope(altered))

    def commitments(self) -> None:
        """Commitments of other models, or altered."""
        record = self.commitment.record
        other = commit_model(dense_network("other"), TINY, default_backend())

        def altered(**change: Any) -> bytes:
            fields = {name: getattr(record, name) for name in record.__dataclass_fields__}
            return encode(CommitmentRecord(**(fields | change)))

        least = decode(CommitmentRecord, altered()).plans[0]
        widened = type(least)(least.node, type(least.plan)(**{**_fields(least.plan), "least": least.plan.least - 1}))
        for name, data, text in (
            ("other-model", encode_commitment(other), "the commitment of another model"),
            ("other-root", altered(root=other.record.root), "the root of another model under this one's digest"),
            ("other-digest", altered(weights=other.record.weights), "another digest over this root"),
            ("other-constants", altered(plans=(widened, *record.plans[1:])), "a least quotient that is one less"),
            ("constants-missing", altered(plans=record.plans[1:]), "the constants of a node missing"),
            ("scales-missing", altered(constants=()), "the scales of the public layer missing"),
            ("standard", altered(parameter_set=STANDARD), "a commitment under another set"),
        ):
            self.refused(f"commitment/{name}", text, "VC-SUC-010", commitment=data)
        longer = type(least)(least.node, type(least.plan)(**{**_fields(least.plan), "limbs": 8}))
        data, text = (
            altered(limb_bits=18, plans=(longer, *record.plans[1:])),
            "a remainder so long that keys wrap in the field",
        )
        self.refused("commitment/keys-that-wrap", text, "VC-SUC-025", commitment=data)


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}
