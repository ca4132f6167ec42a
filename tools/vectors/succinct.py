# SPDX-License-Identifier: Apache-2.0
"""L2: succinct proofs under the parameter set ``tiny``, step by step, and every way to be refused."""

from collections.abc import Sequence
from typing import Any

from vcompute.codec import decode, encode
from vcompute.conformance.operations.succinct import succinct_trace
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
from vcompute.task import Batch, Model, Node, build, encode_model, make_batch
from vcompute.task import operators as ops
from vcompute.task.operators import Requant, Rounding, Window
from vectors.base import Group
from vectors.toys import SAME, channels, graph, int8, value

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
    dense, image, gated, pooled = dense_network("dense"), image_network(), gated_network(), pooled_network()
    for name, model in (
        ("dense", dense),
        ("other", dense_network("other")),
        ("image", image),
        ("gated", gated),
        ("pooled", pooled),
    ):
        commitment = commit_model(model, TINY, default_backend())
        result.data(name, encode_model(model))
        result.data(f"{name}-commitment", encode_commitment(commitment))
        given = {"model": {"data": name}, "parameter_set": TINY}
        out = {"commitment": encode_commitment(commitment)}
        result.valid(f"commit/{name}", "succinct.commit", "VC-SUC-008 VC-SUC-009 VC-SUC-010", given, out)
    interior = encode_model(interior_softmax())
    text = "a SOFTMAX before another layer"
    given = {"model": interior, "parameter_set": TINY}
    result.refused("commit/interior-softmax", "succinct.commit", "VC-SUC-004", given, "suite_unsupported_model", text)
    cases = _Cases(result, "dense", dense, make_batch(int8("succinct/dense", 2, 5)))
    cases.accepted()
    cases.traced()
    cases.statements()
    cases.messages()
    cases.forms()
    cases.commitments()
    more = _Cases(result, "image", image, make_batch(int8("succinct/image", 3, 6, 6, 3)))
    more.accepted()
    product = _Cases(result, "gated", gated, make_batch(int8("succinct/gated", 2, 4)))
    product.accepted()
    product.traced()
    product.messages(("bilinear sum", "bilinear sumcheck", "bilinear operands"))
    windows = _Cases(result, "pooled", pooled, make_batch(int8("succinct/pooled", 2, 5, 4, 2)))
    windows.accepted(" VC-SUC-023 VC-SUC-024")
    one = _Cases(result, "dense", dense, make_batch(int8("succinct/one", 1, 5)), "one-sample")
    one.accepted()
    one.traced()
    return result


def dense_network(name: str) -> Model:
    """Three dense layers: a requantisation of each form, then public accumulators."""
    sizes, zeros = (5, 6, 3, 2), (4, 9, -128, -3)
    nodes: list[Node] = []
    constants: list[Any] = []
    for layer in range(3):
        depth, width = sizes[layer], sizes[layer + 1]
        label = f"succinct/{name}/{layer}"
        constants += [int8(label, width, depth), *channels(label, width)]
        numbers = tuple(range(4 * layer, 4 * layer + 4))
        kind = value((width,), zeros[layer + 1])
        nodes.append(Node(ops.FullyConnected(Rounding.DOUBLE, -128, 127), (layer,), numbers, kind))
    return build(graph([value((5,), zeros[0])], constants, nodes, [3]), constants)


def gated_network() -> Model:
    """Two dense layers whose values are multiplied, before a third."""
    constants: list[Any] = []
    for layer in range(3):
        constants += [int8(f"succinct/gated/{layer}", 4, 4), *channels(f"succinct/gated/{layer}", 4)]
    kind, dense = value((4,), 3), ops.FullyConnected(Rounding.DOUBLE, -128, 127)
    nodes = [
        Node(dense, (0,), (0, 1, 2, 3), kind),
        Node(dense, (0,), (4, 5, 6, 7), kind),
        Node(ops.Mul(Requant(1 << 30, -6), Rounding.DOUBLE, -128, 127), (1, 2), (), kind),
        Node(dense, (3,), (8, 9, 10, 11), kind),
    ]
    return build(graph([kind], constants, nodes, [4]), constants)


def pooled_network() -> Model:
    """A maximum and a mean over windows that reach beyond the image, and a RESHAPE across axes, between two layers."""
    constants: list[Any] = [int8("succinct/pooled/0", 3, 1, 1, 2), *channels("succinct/pooled/0", 3)]
    constants += [int8("succinct/pooled/1", 2, 10), *channels("succinct/pooled/1", 2)]
    plain, padded = Window(1, 1, 1, 1, 0, 0, 0, 0), Window(2, 1, 1, 1, 1, 1, 1, 1)
    nodes = [
        Node(ops.Conv2D(plain, Rounding.DOUBLE, -128, 127), (0,), (0, 1, 2, 3), value((5, 4, 3), 6)),
        Node(ops.MaxPool2D(padded, 2, 3, -90, 80), (1,), (), value((3, 4, 3), 6)),
        Node(ops.AveragePool2D(SAME, 3, 3, -128, 127), (2,), (), value((3, 4, 3), 6)),
        Node(ops.Pad((0, 0, 0), (0, 1, 1), 6), (3,), (), value((3, 5, 4), 6)),
        Node(ops.Reshape(), (4,), (), value((6, 10), 6)),
        Node(ops.FullyConnected(Rounding.DOUBLE, -128, 127), (5,), (4, 5, 6, 7), value((6, 2), -3)),
    ]
    return build(graph([value((5, 4, 2), -3)], constants, nodes, [6]), constants)


def interior_softmax() -> Model:
    """A SOFTMAX of proved values that another layer reads."""
    constants = []
    for layer in range(2):
        constants += [int8(f"succinct/softmax/{layer}", 4, 4), *channels(f"succinct/softmax/{layer}", 4)]
    kind, dense = value((4,), 3), ops.FullyConnected(Rounding.DOUBLE, -128, 127)
    nodes = [
        Node(dense, (0,), (0, 1, 2, 3), kind),
        Node(ops.Add(Requant(1 << 30, 0), Requant(1 << 30, 0), Requant(1 << 30, -18), -128, 127), (1, 0), (), kind),
        Node(ops.Softmax(1 << 30, 4), (2,), (), value((4,), -128)),
        Node(dense, (3,), (4, 5, 6, 7), kind),
    ]
    return build(graph([kind], constants, nodes, [4]), constants)


def image_network() -> Model:
    """Convolutions, a residual sum, a pool, and a final SOFTMAX."""
    kernels = [
        (int8("succinct/image/0", 4, 3, 3, 3), *channels("succinct/image/0", 4)),
        (int8("succinct/image/1", 4, 3, 3, 4), *channels("succinct/image/1", 4)),
        (int8("succinct/image/2", 3, 3, 4), *channels("succinct/image/2", 4)),
        (int8("succinct/image/3", 5, 4), *channels("succinct/image/3", 5)),
    ]
    strided, plain = Window(2, 2, 1, 1, 0, 0, 1, 1), Window(3, 3, 1, 1, 0, 0, 0, 0)
    wide, half = (-128, 127), Requant(1 << 30, 0)
    image, small = value((6, 6, 4), 5), value((3, 3, 4), 2)
    nodes = [
        Node(ops.Conv2D(SAME, Rounding.DOUBLE, 5, 127), (0,), (0, 1, 2, 3), image),
        Node(ops.Conv2D(SAME, Rounding.SINGLE, *wide), (1,), (4, 5, 6, 7), image),
        Node(ops.Add(half, half, Requant(1 << 30, -18), *wide), (1, 2), (), value((6, 6, 4), 7)),
        Node(ops.DepthwiseConv2D(strided, 1, Rounding.DOUBLE, *wide), (3,), (8, 9, 10, 11), small),
        Node(ops.AveragePool2D(plain, 3, 3, *wide), (4,), (), value((1, 1, 4), 2)),
        Node(ops.Reshape(), (5,), (), value((4,), 2)),
        Node(ops.FullyConnected(Rounding.DOUBLE, *wide), (6,), (12, 13, 14, 15), value((5,), -3)),
        Node(ops.Softmax(1 << 30, 4), (7,), (), value((5,), -128)),
    ]
    constants = [array for kernel in kernels for array in kernel]
    return build(graph([value((6, 6, 3), -128)], constants, nodes, [8]), constants)


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
