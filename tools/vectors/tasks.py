# SPDX-License-Identifier: Apache-2.0
"""L0: graphs, model files, batches and proof envelopes, valid and with one fault each."""

import dataclasses
from typing import Any

import numpy as np

from vcompute.codec import dumps, encode, loads
from vcompute.codec.cbor import Value
from vcompute.proof.suite import ProofEnvelope
from vcompute.registry import ParameterSetId, SuiteId
from vcompute.task import DType, Graph, Model, Node, decode_model, encode_model, make_batch
from vcompute.task import digest as digests
from vcompute.task import operators as ops
from vcompute.task.model import ModelFile
from vcompute.task.operators import Requant, Rounding, Window
from vectors.base import Group, xof
from vectors.toys import PLAIN, channels, graph, int8, single, tiny_network, toys, value


def group() -> Group:
    """The group ``tasks``."""
    result = Group("tasks", "L0", "Graphs, model files, batches, proof envelopes.")
    for toy in toys():
        work = toy.model.work()
        out = {"digest": toy.model.graph_digest, "macs": str(work.macs), "elements": str(work.elements)}
        given = {"bytes": toy.model.encoded_graph}
        result.valid(f"graph/{toy.name}", "graph.decode", "VC-TSK-001 VC-TSK-006 VC-TSK-012", given, out)
    _structure(result)
    _schema(result)
    _shapes(result)
    _values(result)
    _models(result)
    _batches(result)
    _envelopes(result)
    return result


def _refuse(result: Group, name: str, requirement: str, data: bytes, error: str, text: str) -> None:
    result.refused(f"graph/{name}", "graph.decode", requirement, {"bytes": data}, error, text)


def _rewired(base: Graph, position: int, **change: Any) -> Graph:
    nodes = list(base.nodes)
    nodes[position] = dataclasses.replace(nodes[position], **change)
    return dataclasses.replace(base, nodes=tuple(nodes))


def _structure(result: Group) -> None:
    base = tiny_network().graph
    replace = dataclasses.replace
    scale = base.input_scales[0]
    cases = (
        ("reads-itself", 2, _rewired(base, 0, inputs=(1,)), "a node that reads its own output"),
        ("reads-forward", 2, _rewired(base, 0, inputs=(2,)), "a node that reads a later one"),
        ("reads-dangling", 2, _rewired(base, 2, inputs=(1, 9)), "a value that is not there"),
        ("constant-dangling", 2, _rewired(base, 1, constants=(4, 5, 6, 8)), "a constant that is not there"),
        ("output-dangling", 2, replace(base, outputs=(4,)), "an output that is not there"),
        ("output-is-input", 4, replace(base, outputs=(0,)), "an output that is an input"),
        ("output-twice", 4, replace(base, outputs=(3, 3), output_scales=(scale, scale)), "an output named twice"),
        (
            "input-unread",
            4,
            replace(
                base,
                inputs=(*base.inputs, base.inputs[0]),
                input_scales=(scale, scale),
                nodes=tuple(replace(n, inputs=tuple(i + (i > 0) for i in n.inputs)) for n in base.nodes),
                outputs=(4,),
            ),
            "an input that no node reads",
        ),
        (
            "scale-missing",
            4,
            replace(base, inputs=base.inputs, output_scales=(scale, scale)),
            "two scales for one output",
        ),
        ("operand-missing", 5, _rewired(base, 2, inputs=(1,)), "a sum of one operand"),
        ("operand-extra", 5, _rewired(base, 2, inputs=(1, 2, 1)), "a sum of three operands"),
        ("constant-missing", 5, _rewired(base, 1, constants=(4, 5, 6)), "a dense layer without shifts"),
        ("constants-on-add", 5, _rewired(base, 2, constants=(0,)), "a sum with a constant"),
        ("output-type", 5, _rewired(base, 2, output=value((8,), 0, DType.INT32)), "a sum of 32 bits"),
        ("operand-type", 5, replace(base, inputs=(value((8,), 0, DType.INT32),)), "a dense layer on int32"),
        ("dead-node", 3, replace(base, outputs=(2,)), "a node that no output needs"),
        (
            "order-swapped-constants",
            3,
            _rewired(_rewired(base, 0, constants=(4, 5, 6, 7)), 1, constants=(0, 1, 2, 3)),
            "constants not in order of first use",
        ),
        (
            "constant-unused",
            3,
            replace(base, constants=(*base.constants, base.constants[0])),
            "a constant that no node reads",
        ),
        ("order-not-post-order", 3, _swapped(base), "two branches of a sum in the order of its right operand"),
    )
    for name, number, flow, text in cases:
        _refuse(result, name, f"VC-TSK-{number:03d}", encode(flow), "invalid_graph", text)


def _swapped(base: Graph) -> Graph:
    """Two branches on one input: the walk from the left operand visits the other one first."""
    left = dataclasses.replace(base.nodes[0], inputs=(0,))
    right = dataclasses.replace(base.nodes[1], inputs=(0,))
    total = dataclasses.replace(base.nodes[2], inputs=(2, 1))
    return dataclasses.replace(base, nodes=(left, right, total))


def _schema(result: Group) -> None:
    base: Any = loads(encode(tiny_network().graph))

    def edited(*path: int | str, to: Value = None, drop: bool = False) -> bytes:
        document: Any = loads(dumps(base))
        place = document
        for key in path[:-1]:
            place = place[key]
        if drop:
            del place[path[-1]]
        else:
            place[path[-1]] = to
        return dumps(document)

    cases = (
        ("version-0", "VC-TSK-001", edited(0, to=0), "version 0"),
        ("version-2", "VC-TSK-001", edited(0, to=2), "version 2"),
        ("no-version", "VC-ENC-009", edited(0, drop=True), "no version"),
        ("no-scales", "VC-ENC-009", edited(6, drop=True), "no output scales"),
        ("unknown-key", "VC-ENC-009", edited(7, to=0), "a key that the schema does not have"),
        ("null-field", "VC-ENC-009", edited(5, to=None), "null for the input scales"),
        ("no-nodes", "VC-ENC-010", edited(3, to=[]), "no node"),
        ("no-inputs", "VC-ENC-010", edited(1, to=[]), "no input"),
        ("no-outputs", "VC-ENC-010", edited(4, to=[]), "no output"),
        ("outputs-map", "VC-ENC-010", edited(4, to={}), "a map for the outputs"),
        ("index-negative", "VC-ENC-010", edited(4, 0, to=-1), "output -1"),
        ("index-17-bits", "VC-ENC-010", edited(4, 0, to=65536), "output 65536"),
        ("index-text", "VC-ENC-010", edited(4, 0, to="3"), "an index as text"),
        ("index-true", "VC-ENC-010", edited(4, 0, to=True), "true for an index"),
        ("opcode-unknown", "VC-REG-001", edited(3, 0, 0, 0, to=59999), "an operator that is not registered"),
        ("opcode-zero", "VC-REG-001", edited(3, 0, 0, 0, to=0), "operator 0"),
        ("operator-bare", "VC-ENC-010", edited(3, 0, 0, to={}), "attributes without an opcode"),
        ("operator-three", "VC-ENC-010", edited(3, 0, 0, to=[3, {}, {}]), "an operator of three items"),
        ("attribute-missing", "VC-ENC-009", edited(3, 0, 0, 1, 0, drop=True), "no rounding"),
        ("attribute-extra", "VC-ENC-009", edited(3, 0, 0, 1, 9, to=0), "an attribute that the operator does not have"),
        ("rounding-unknown", "VC-ENC-010", edited(3, 0, 0, 1, 0, to=3), "rounding 3"),
        ("clamp-129", "VC-ENC-010", edited(3, 0, 0, 1, 2, to=128), "a clamp of 128"),
        ("dtype-unknown", "VC-ENC-010", edited(1, 0, 0, to=3), "element type 3"),
        ("axis-zero", "VC-ENC-010", edited(1, 0, 1, 0, to=0), "an axis of length 0"),
        ("axis-too-long", "VC-ENC-010", edited(1, 0, 1, 0, to=(1 << 24) + 1), "an axis of length 2**24 + 1"),
        ("rank-7", "VC-ENC-010", edited(1, 0, 1, to=[1] * 7), "seven axes"),
        ("zero-point-128", "VC-ENC-010", edited(1, 0, 2, to=128), "zero point 128"),
        ("zero-point-low", "VC-ENC-010", edited(1, 0, 2, to=-129), "zero point -129"),
        ("scale-33-bits", "VC-ENC-010", edited(5, 0, 0, to=1 << 32), "a scale of 33 bits"),
        ("shift-31", "VC-ENC-010", edited(3, 2, 0, 1, 0, 1, to=31), "shift 31"),
        ("multiplier-negative", "VC-ENC-010", edited(3, 2, 0, 1, 0, 0, to=-1), "multiplier -1"),
        ("multiplier-32-bits", "VC-ENC-010", edited(3, 2, 0, 1, 0, 0, to=1 << 31), "multiplier 2**31"),
    )
    for name, requirement, data, text in cases:
        _refuse(result, f"schema/{name}", requirement, data, "schema_violation", text)
    whole = encode(tiny_network().graph)
    _refuse(result, "schema/trailing", "VC-ENC-007", whole + b"\x00", "malformed_encoding", "a byte after the graph")
    _refuse(result, "schema/cut", "VC-ENC-007", whole[:-1], "malformed_encoding", "a graph without its last byte")


def _broken(operator: ops.Operator, inputs: list[Any], output: Any, constants: tuple[Any, ...] = ()) -> bytes:
    """A graph of one node, encoded without being checked."""
    node = Node(operator, tuple(range(len(inputs))), tuple(range(len(constants))), output)
    return encode(graph(inputs, constants, [node], [len(inputs)]))


def _shapes(result: Group) -> None:
    def conv(
        window: Window = PLAIN,
        image: tuple[int, ...] = (4, 4, 2),
        depth: int = 2,
        out: tuple[int, ...] = (2, 2, 4),
        bias: int = 4,
    ) -> bytes:
        constants = (int8("shapes/filter", 4, 3, 3, depth), *channels("shapes", bias))
        return _broken(ops.Conv2D(window, Rounding.DOUBLE, -128, 127), [value(image)], value(out), constants)

    double, half = Rounding.DOUBLE, Requant(1 << 30, 0)
    wide = Window(1, 1, 1, 1, 3, 0, 0, 0)
    dense = ops.FullyConnected(double, -128, 127)
    add = ops.Add(half, half, half, -128, 127)
    product = ops.BatchMatMul(False, False, Requant(1 << 30, -8), double, -128, 127)
    pool = ops.AveragePool2D(Window(1, 1, 2, 1, 0, 0, 0, 0), 2, 2, -128, 127)
    weights = (int8("shapes/dense", 3, 5), *channels("shapes", 3))
    cases = (
        ("conv-output", conv(out=(3, 3, 4)), "an output larger than the image gives"),
        ("conv-channels", conv(out=(2, 2, 3)), "other channels than the filter has"),
        ("conv-depth", conv(depth=3), "a filter of another depth than the image"),
        ("conv-rank", conv(image=(4, 8)), "an image without channels"),
        ("conv-bias", conv(bias=3), "three biases for four channels"),
        ("conv-window", conv(image=(2, 2, 2), out=(1, 1, 4)), "a window larger than the image"),
        ("conv-padding", conv(wide, out=(5, 2, 4)), "padding as large as the window"),
        ("dense-depth", _broken(dense, [value((4,))], value((3,)), weights), "a filter of another depth"),
        ("dense-output", _broken(dense, [value((5,))], value((4,)), weights), "another width than the filter gives"),
        ("add-broadcast", _broken(add, [value((2, 3)), value((2,))], value((2, 3))), "shapes that do not broadcast"),
        ("add-output", _broken(add, [value((2, 3)), value((3,))], value((3,))), "the smaller operand's shape"),
        ("matmul-inner", _broken(product, [value((2, 3)), value((4, 2))], value((2, 2))), "inner sizes 3 and 4"),
        ("matmul-rank", _broken(product, [value((3,)), value((3, 2))], value((2,))), "an operand of one axis"),
        ("pool-dilated", _broken(pool, [value((4, 4, 1))], value((2, 3, 1))), "a dilated pool"),
        ("mean-axis", _broken(ops.Mean((2,), False, half, double, -128, 127), [value((3, 3))], value((3, 3))), "an axis that is not there"),
        ("mean-order", _broken(ops.Mean((1, 0), False, half, double, -128, 127), [value((3, 3))], value(())), "axes in descending order"),
        ("pad-rank", _broken(ops.Pad((1,), (1,), 0), [value((2, 2))], value((4, 2))), "amounts for one axis of two"),
        ("concatenation-off-axis", _broken(ops.Concatenation(0), [value((1, 2)), value((1, 3))], value((2, 2))), "operands that differ off the axis"),
        ("concatenation-axis", _broken(ops.Concatenation(2), [value((1, 2)), value((1, 2))], value((2, 2))), "an axis that is not there"),
        ("reshape-elements", _broken(ops.Reshape(), [value((2, 3))], value((7,))), "seven elements of six"),
        ("transpose-twice", _broken(ops.Transpose((0, 0)), [value((2, 3))], value((2, 2))), "an axis named twice"),
        ("transpose-output", _broken(ops.Transpose((1, 0)), [value((2, 3))], value((2, 3))), "the shape before the permutation"),
        ("softmax-scalar", _broken(ops.Softmax(1 << 30, 20), [value(())], value((), -128)), "no axis"),
        ("softmax-long", _broken(ops.Softmax(1 << 30, 20), [value((4096,))], value((4096,), -128)), "4096 entries"),
        ("logistic-table", _broken(ops.Logistic(), [value((3,))], value((3,), -128), (int8("shapes/table", 255),)), "a table of 255 entries"),
    )  # fmt: skip
    for name, data, text in cases:
        _refuse(result, f"shape/{name}", "VC-TSK-006", data, "invalid_shape", text)


def _values(result: Group) -> None:
    half = Requant(1 << 30, 0)
    up = Requant(1 << 30, 1)
    cases = (
        ("zero-point-int32", _broken(ops.MatMul(), [value((2,))], value((3,), 1, DType.INT32), (int8("values/f", 3, 2),)), "zero point 1 of int32"),
        ("clamp-empty", _broken(ops.Mul(half, Rounding.DOUBLE, 1, 0), [value((2,)), value((2,))], value((2,))), "least above greatest"),
        ("add-left-shift", _broken(ops.Add(up, half, half, -128, 127), [value((2,)), value((2,))], value((2,))), "a left shift in a sum"),
        ("reshape-zero-point", _broken(ops.Reshape(), [value((2,), 1)], value((2,), 2)), "another zero point behind a reshape"),
        ("pool-zero-point", _broken(ops.MaxPool2D(PLAIN, 2, 2, -128, 127), [value((3, 3, 1), 1)], value((2, 2, 1), 2)), "another zero point behind a pool"),
        ("concatenation-zero-point", _broken(ops.Concatenation(0), [value((2,), 1), value((2,), 2)], value((4,), 1)), "operands of two zero points"),
        ("softmax-zero-point", _broken(ops.Softmax(1 << 30, 20), [value((2,))], value((2,), 0)), "softmax with zero point 0"),
        ("logistic-zero-point", _broken(ops.Logistic(), [value((2,))], value((2,), 0), (int8("values/t", 256),)), "logistic with zero point 0"),
    )  # fmt: skip
    for name, data, text in cases:
        _refuse(result, f"value/{name}", "VC-TSK-007", data, "value_out_of_range", text)
    big = value((1 << 14, 1 << 14, 2))
    data = _broken(ops.Transpose((1, 0, 2)), [big], big)
    _refuse(result, "limit/elements", "VC-TSK-008", data, "limit_exceeded", "a tensor of 2**29 elements")


def _file(model: Model, **change: Any) -> bytes:
    file = ModelFile("vcompute-model", 1, model.encoded_graph, model.weights, model.digest)
    return encode(dataclasses.replace(file, **change))


def _models(result: Group) -> None:
    model = tiny_network()

    def refuse(name: str, requirement: str, data: bytes, error: str, text: str) -> None:
        result.refused(f"model/{name}", "model.decode", requirement, {"bytes": data}, error, text)

    out = {"digest": model.digest, "graph_digest": model.graph_digest, "weights_digest": model.weights_digest}
    result.valid("model/tiny", "model.decode", "VC-DIG-004 VC-TSK-010", {"bytes": encode_model(model)}, out)
    flipped = bytes([model.weights[0] ^ 1]) + model.weights[1:]
    renamed = bytes([model.digest[0] ^ 1]) + model.digest[1:]
    refuse("weight-flipped", "VC-DIG-004", _file(model, weights=flipped), "digest_mismatch", "one bit of a weight")
    refuse("digest-flipped", "VC-DIG-004", _file(model, digest=renamed), "digest_mismatch", "one bit of the digest")
    other = single(ops.Reshape(), [value((2, 3))], value((6,)))
    refuse("other-graph", "VC-DIG-004", _file(model, graph=other.encoded_graph), "digest_mismatch", "another graph")
    refuse("kind", "VC-TSK-010", _file(model, kind="vcompute-proof"), "schema_violation", "a file of another kind")
    whole = encode_model(model)
    refuse("trailing", "VC-ENC-007", whole + b"\x00", "malformed_encoding", "a byte after the file")
    refuse("cut", "VC-ENC-007", whole[:-1], "malformed_encoding", "a file without its last byte")
    for name, weights in (("short", model.weights[:-1]), ("long", model.weights + b"\x00")):
        named = digests.model_digest(model.graph_digest, digests.blob_digest(weights))
        data = _file(model, weights=weights, digest=named)
        refuse(f"weights-{name}", "VC-TSK-010", data, "invalid_shape", f"weights a byte too {name}")
    _bounds(result, refuse)


def _unchecked(flow: Graph, weights: bytes) -> bytes:
    encoded = encode(flow)
    digest = digests.model_digest(digests.graph_digest(encoded), digests.blob_digest(weights))
    return encode(ModelFile("vcompute-model", 1, encoded, weights, digest))


def _bounds(result: Group, refuse: Any) -> None:
    dense = ops.FullyConnected(Rounding.DOUBLE, -128, 127)

    def layer(kernel: Any, bias: int, multiplier: int, shift: int, zero_point: int = 0) -> bytes:
        constants = (kernel, np.array([bias], "<i4"), np.array([multiplier], "<i4"), np.array([shift], np.int8))
        depth = kernel.shape[1]
        node = Node(dense, (0,), (0, 1, 2, 3), value((1,)))
        flow = graph([value((depth,), zero_point)], constants, [node], [1])
        return _unchecked(flow, b"".join(array.tobytes() for array in constants))

    one = np.ones((1, 1), np.int8)
    overflow = "accumulator_overflow"
    refuse("bias-overflow", "VC-TSK-009", layer(one, 2**31 - 1, 1 << 30, -8), overflow, "a bias that leaves no room")
    refuse("shift-overflow", "VC-TSK-009", layer(one, 0, 1 << 30, 25), overflow, "a left shift beyond 32 bits")
    room = 2**31 - 1 - 2 * 127 * 255
    edge = np.array([[127, -127]], np.int8)
    data = layer(edge, room + 1, 1 << 30, -8, -128)
    refuse("sum-overflow", "VC-TSK-009", data, overflow, "a sum that some order of adding takes to 2**31")
    model = decode_model(layer(edge, room, 1 << 30, -8, -128))
    given, out = {"bytes": encode_model(model)}, {"digest": model.digest}
    result.valid("model/sum-at-the-edge", "model.decode", "VC-TSK-009", given, out, "a sum that reaches 2**31 - 1")
    refuse("multiplier-negative", "VC-TSK-011", layer(one, 0, -1, -8), "value_out_of_range", "a multiplier of -1")
    refuse("shift-low", "VC-TSK-011", layer(one, 0, 1 << 30, -32), "value_out_of_range", "a shift of -32")
    refuse("shift-high", "VC-TSK-011", layer(one, 0, 1 << 30, 31), "value_out_of_range", "a shift of 31")


def _batches(result: Group) -> None:
    arrays = {
        "int8": (int8("batch/a", 3, 4),),
        "int32": (np.array([[-1], [2**31 - 1]], "<i4"),),
        "scalars": (int8("batch/b", 5),),
        "two": (int8("batch/a", 2, 3), int8("batch/c", 2, 2, 2)),
    }
    for name, group_ in arrays.items():
        batch = make_batch(group_)
        result.valid(
            f"batch/{name}",
            "batch.decode",
            "VC-TSK-013",
            {"bytes": batch.encoded},
            {"digest": batch.digest, "size": batch.size},
        )
    base: Any = loads(make_batch(int8("batch/a", 3, 4)).encoded)

    def refuse(
        name: str, requirement: str, error: str, text: str, *, data: bytes | None = None, **change: Value
    ) -> None:
        tensor = {**base[1][0], **{int(key[1:]): item for key, item in change.items() if key[0] == "t"}}
        document = {**base, 1: [tensor], **{int(key[1:]): item for key, item in change.items() if key[0] == "b"}}
        result.refused(f"batch/{name}", "batch.decode", requirement, {"bytes": data or dumps(document)}, error, text)

    refuse("data-short", "VC-TSK-013", "invalid_shape", "a byte too few", t2=base[1][0][2][:-1])
    refuse("data-long", "VC-TSK-013", "invalid_shape", "a byte too many", t2=base[1][0][2] + b"\x00")
    refuse("size-differs", "VC-TSK-013", "invalid_shape", "four samples where there are three", b0=4)
    refuse("type-wider", "VC-TSK-013", "invalid_shape", "int32 with the bytes of int8", t0=2)
    refuse("size-zero", "VC-ENC-010", "schema_violation", "no sample", b0=0)
    refuse("size-huge", "VC-ENC-010", "schema_violation", "2**24 + 1 samples", b0=(1 << 24) + 1)
    refuse("no-tensor", "VC-ENC-010", "schema_violation", "no tensor", b1=[])
    refuse("dtype-unknown", "VC-ENC-010", "schema_violation", "element type 0", t0=0)
    refuse("data-text", "VC-ENC-010", "schema_violation", "data as text", t2="abc")
    refuse("trailing", "VC-ENC-007", "malformed_encoding", "a byte after the batch", data=dumps(base) + b"\x00")


def _envelopes(result: Group) -> None:
    base = ProofEnvelope(
        "vcompute-proof", 1, int(SuiteId.REPLAY), int(ParameterSetId.EXACT), xof("vcompute/vectors/envelope", 32), b""
    )
    for name, change in (
        ("replay", {}),
        ("private-use", {"suite": 60000, "parameter_set": 60000}),
        ("body", {"body": bytes(300)}),
    ):
        envelope = dataclasses.replace(base, **change)
        out = {
            "suite": int(envelope.suite),
            "parameter_set": int(envelope.parameter_set),
            "statement": envelope.statement,
        }
        result.valid(f"envelope/{name}", "proof.decode", "VC-TSK-015", {"bytes": encode(envelope)}, out)
    good: Any = loads(encode(base))
    edits: tuple[tuple[str, dict[int, Value], str], ...] = (
        ("kind", {0: "vcompute-model"}, "another kind of file"),
        ("version", {1: 2}, "version 2"),
        ("suite-17-bits", {2: 65536}, "a suite of 17 bits"),
        ("parameter-set-text", {3: "exact"}, "a parameter set as text"),
        ("statement-short", {4: bytes(31)}, "a digest of 31 bytes"),
        ("body-missing", {5: None}, "null for the body"),
        ("key-unknown", {6: 0}, "a key that the schema does not have"),
    )
    for name, change, text in edits:
        given = {"bytes": dumps({**good, **change})}
        result.refused(f"envelope/{name}", "proof.decode", "VC-TSK-015", given, "proof_malformed", text)
    for name, data in (("empty", b""), ("trailing", encode(base) + b"\x00"), ("array", b"\x80")):
        result.refused(
            f"envelope/{name}", "proof.decode", "VC-TSK-015", {"bytes": data}, "proof_malformed", "not an envelope"
        )
