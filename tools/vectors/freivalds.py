# SPDX-License-Identifier: Apache-2.0
"""L2: the bytes of proofs of `freivalds`, lies that only its check sees, and the check of one product."""

from dataclasses import replace

import numpy as np

from vcompute.codec import encode
from vcompute.proof.api import prove
from vcompute.proof.freivalds import evaluate, read_products
from vcompute.proof.matmul import public_point
from vcompute.proof.statement import Statement
from vcompute.proof.suite import decode_envelope
from vcompute.registry import ParameterSetId
from vcompute.task import Batch, DType, Model, Node, build, encode_model, make_batch
from vcompute.task import operators as ops
from vcompute.task.operators import Rounding
from vectors.base import Group
from vectors.toys import channels, graph, int8, value

CONTEXT = b"task 7, worker 9"


def dense(name: str) -> Model:
    """A network of products: two outputs, int8 (2, 5) and int32 (2, 3)."""
    hidden = (int8(f"{name}/1", 9, 12), *channels(f"{name}/1", 9))
    last = (int8(f"{name}/2", 5, 9), *channels(f"{name}/2", 5))
    nodes = [
        Node(ops.Reshape(), (0,), (), value((2, 12), 3)),
        Node(ops.FullyConnected(Rounding.DOUBLE, -20, 127), (1,), (0, 1, 2, 3), value((2, 9), -20)),
        Node(ops.FullyConnected(Rounding.SINGLE, -128, 127), (2,), (4, 5, 6, 7), value((2, 5), 7)),
        Node(ops.MatMul(), (2,), (8,), value((2, 3), 0, DType.INT32)),
    ]
    constants = [*hidden, *last, int8(f"{name}/3", 3, 9)]
    return build(graph([value((24,), 3)], constants, nodes, [3, 4]), constants)


def changed(batch: Batch, index: int, place: tuple[int, ...]) -> Batch:
    """The batch with one element one higher or lower."""
    arrays = [np.array(array) for array in batch.arrays]
    arrays[index][place] ^= 1
    return make_batch(arrays)


def rebound(statement: Statement, proof: bytes, **changes: object) -> bytes:
    """The envelope under the digest of a statement, with other fields changed."""
    return encode(replace(decode_envelope(proof), **{"statement": statement.digest, **changes}))


def group() -> Group:
    """The group ``freivalds``."""
    text = "The bytes of proofs of freivalds, in both modes; the check of one product."
    result = Group("freivalds", "L2", text, roles=["requester", "verifier"])
    model = dense("freivalds/dense")
    file = result.data("dense", encode_model(model))
    inputs = make_batch(int8("freivalds/inputs", 3, 24))
    for name in ("public-128", "private-128"):
        _proofs(result, name, model, file, inputs)
    _products(result)
    return result


def _proofs(result: Group, name: str, model: Model, file: object, inputs: Batch) -> None:
    """The proof of one network in one mode, and lies that only the check sees."""
    outputs, proof = prove(model, inputs, "freivalds", CONTEXT, name)
    statement = Statement(model, inputs, outputs, CONTEXT)
    samples = result.data("inputs", inputs.encoded)
    ask = {"model": file, "inputs": samples, "context": CONTEXT, "suite": "freivalds", "parameter_set": name}
    made = {"outputs": outputs.encoded, "proof": proof}
    result.valid(f"{name}/make", "proof.make", "VC-SUI-021", ask, made)
    given = {"model": file, "inputs": samples, "outputs": outputs.encoded, "context": CONTEXT, "proof": proof}
    accepted = {"suite": "freivalds", "parameter_set": name, "security_bits": 125}
    result.valid(f"{name}/accepted", "proof.verify", "VC-SUI-007 VC-SUI-022", given, accepted)

    def refuse(case: str, requirement: str, error: str, text: str, **changes: object) -> None:
        result.refused(f"{name}/{case}", "proof.verify", requirement, {**given, **changes}, error, text)

    other = ParameterSetId.PRIVATE_128 if name == "public-128" else ParameterSetId.PUBLIC_128
    text = "a policy that names the other mode"
    refuse("policy", "VC-SUI-001", "suite_not_accepted", text, parameter_sets=[int(other)])
    requirement = "VC-SUI-022 VC-SUI-024 VC-SUI-025" if name == "public-128" else "VC-SUI-022 VC-SUI-023"
    body = np.frombuffer(decode_envelope(proof).body, "<i4")
    # A step in an entry whose output is saturated or rounds the same way changes no output: only the check sees it.
    unseen = [index for index in range(body.size) if _same_outputs(model, statement, stepped(body, index))]
    for index in {unseen[0], unseen[-1]}:
        forged = rebound(statement, proof, body=stepped(body, index).tobytes())
        refuse(
            f"product-{index}",
            requirement,
            "proof_rejected",
            "a product off by one, the outputs as they are",
            proof=forged,
        )
    lie = replace(statement, outputs=changed(outputs, 1, (0, 1, 2)))
    forged = rebound(lie, proof)
    text = "a wrong product that is an output, restated"
    refuse("matmul", requirement, "proof_rejected", text, outputs=lie.outputs.encoded, proof=forged)
    lie = replace(statement, outputs=changed(outputs, 0, (2, 0, 1)))
    text = "an output that does not follow from the products, restated"
    refuse("output", "VC-SUI-005", "output_mismatch", text, outputs=lie.outputs.encoded, proof=rebound(lie, proof))


def stepped(body: np.ndarray, index: int) -> np.ndarray:
    """The products with one of them one higher."""
    wrong = body.copy()
    wrong[index] += 1
    return wrong


def _same_outputs(model: Model, statement: Statement, body: np.ndarray) -> bool:
    products = read_products(model, statement, body.tobytes())
    return evaluate(model, statement.inputs, lambda at, *_: products[at]) == statement.outputs


def _products(result: Group) -> None:
    """The check of one product."""
    for m, k, n in ((1, 1, 1), (2, 3, 5), (9, 70, 33), (33, 65, 34)):
        name = f"{m}x{k}x{n}"
        a, b = int8(f"freivalds/a{name}", m, k), int8(f"freivalds/b{name}", k, n)
        c = (a.astype(np.int64) @ b.astype(np.int64)).astype("<i4")
        given: dict[str, object] = {"M": m, "K": k, "N": n, "c": c.tobytes(), "context": CONTEXT}
        for letter, matrix in (("a", a), ("b", b)):
            given[letter] = {"shake256": f"vcompute/vectors/freivalds/{letter}{name}", "length": matrix.size}
        point = [[str(item.c0), str(item.c1)] for item in public_point(a, b, c, CONTEXT)]
        result.valid(f"product/{name}/point", "matmul.point", "VC-SUI-025 VC-SUI-027", given, {"point": point})
        result.valid(f"product/{name}/right", "matmul.check", "VC-SUI-026", given, {})
        for place in {(0, 0), (m - 1, n - 1), (m // 2, n // 2)}:
            wrong = c.copy()
            wrong[place] ^= 1
            case = f"product/{name}/wrong-{place[0]}-{place[1]}"
            result.refused(case, "matmul.check", "VC-SUI-026", {**given, "c": wrong.tobytes()}, "proof_rejected")
    deep = {"M": 1, "K": 131072, "N": 1, "a": {"shake256": "a", "length": 131072}}
    deep |= {"b": {"shake256": "b", "length": 131072}, "c": bytes(4), "context": b""}
    result.refused("product/too-deep", "matmul.check", "VC-SUI-026", deep, "accumulator_overflow")
