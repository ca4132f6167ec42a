# SPDX-License-Identifier: Apache-2.0
"""``freivalds``: networks whose multiply-accumulates are matrix products with constant weights.

The proof holds the int32 products of every FULLY_CONNECTED (x - zero_point) W^T, before the bias; those of a MATMUL are
outputs of the graph and stand in the statement. The verifier recomputes everything else exactly from them, so that
all operands of all products are fixed, and checks each product by random projection:

    sum over n of C[m, n] r[n]  =  sum over k of (x[m, k] - zero_point) v[k],   v = W^T r.

Under ``public-128`` r comes from a hash of the statement and all products, under ``private-128`` from the verifier's
own randomness. The proof's bytes are the same.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from vcompute.codec import encode
from vcompute.errors import Rejected
from vcompute.field import goldilocks as base
from vcompute.field.backend import default_backend
from vcompute.field.scalar import Ext
from vcompute.kernels import executor, reference
from vcompute.proof import challenge
from vcompute.proof.challenge import RandomBytes
from vcompute.proof.matmul import MAX_DEPTH, refuse_differences
from vcompute.proof.projection import Projection, default_projection
from vcompute.proof.replay import compare_outputs
from vcompute.proof.requantize import requantize
from vcompute.proof.statement import Statement, require_model
from vcompute.proof.suite import ParameterSet, Security, registered_sets
from vcompute.registry import ErrorCode, ParameterSetId, SuiteId
from vcompute.task import Batch, Graph, Model, Node
from vcompute.task.bounds import accumulator_bounds, value_ranges
from vcompute.task.operators import BatchMatMul, Conv2D, DepthwiseConv2D, FullyConnected, MatMul
from vcompute.task.tensor import NUMPY_DTYPE, DType, NDArray
from vcompute.transcript import Transcript

PROTOCOL: Final = "freivalds"
INT32: Final = NUMPY_DTYPE[DType.INT32]


@dataclass(frozen=True, slots=True)
class Product:
    """One claimed product: rows of x, less the zero point, times the transpose of the weights."""

    position: int
    """Number of the node."""
    x: NDArray
    """int8 (M, K)."""
    zero_point: int
    weights: NDArray
    """int8 (N, K)."""
    claimed: NDArray
    """int32 (M, N)."""


Multiply: TypeAlias = Callable[[int, Node, NDArray, int], NDArray]
"""(node number, node, x (M, K), zero point) -> its product, int32 (M, N)."""


def product_nodes(graph: Graph) -> tuple[tuple[int, Node], ...]:
    """The nodes that are products, by number.

    Raises:
        Rejected: ``suite_unsupported_model`` where the graph has another operator that multiplies and accumulates, or
            no product at all.
    """
    found = []
    for position, node in enumerate(graph.nodes):
        if isinstance(node.operator, (Conv2D, DepthwiseConv2D, BatchMatMul)):
            raise Rejected(
                f"freivalds proves products with constant weights; node {position} is another kind",
                code=ErrorCode.SUITE_UNSUPPORTED_MODEL,
                expected="fully_connected or matmul",
                got=node.operator.name,
            )
        if isinstance(node.operator, (FullyConnected, MatMul)):
            found.append((position, node))
    if not found:
        raise Rejected("freivalds needs a matrix product", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)
    return tuple(found)


def evaluate(model: Model, inputs: Batch, multiply: Multiply) -> Batch:
    """The outputs of a run whose products come from ``multiply``."""
    values: list[NDArray] = list(inputs.arrays)
    for position, node in enumerate(model.graph.nodes):
        constants = tuple(model.constants[index] for index in node.constants)
        operands = [values[index] for index in node.inputs]
        operator = node.operator
        if isinstance(operator, (FullyConnected, MatMul)):
            zero_point = model.graph.operand_types(node)[0][0].zero_point
            x = np.ascontiguousarray(operands[0]).reshape(-1, operands[0].shape[-1])
            product = multiply(position, node, x, zero_point).reshape(inputs.size, *node.output.shape)
            if isinstance(operator, FullyConnected):
                product = requantize(product, constants, operator, node.output)
            values.append(product)
        else:
            values.append(reference.evaluate(model, node, operands, constants, inputs.size))
    return Batch(tuple(values[index] for index in model.graph.outputs))


def read_products(model: Model, statement: Statement, body: bytes) -> dict[int, NDArray]:
    """The claimed products by node: those of the body, and the outputs of MATMULs. Every size follows from the graph.

    Raises:
        Rejected: ``truncated_proof``, ``trailing_bytes``, or ``proof_rejected`` for a product outside the range that
            the weights allow.
    """
    batch, offset = statement.inputs.size, 0
    nodes = product_nodes(model.graph)
    sizes = {at: batch * node.output.elements for at, node in nodes if isinstance(node.operator, FullyConnected)}
    expected = INT32.itemsize * sum(sizes.values())
    if len(body) != expected:
        code = ErrorCode.TRUNCATED_PROOF if len(body) < expected else ErrorCode.TRAILING_BYTES
        raise Rejected("size of the proof's products", code=code, expected=expected, got=len(body))
    products = {}
    for position, node in nodes:
        columns = node.output.shape[-1]
        if position in sizes:
            array = np.frombuffer(body, INT32, sizes[position], offset)
            offset += array.nbytes
        else:
            value = model.graph.outputs.index(len(model.graph.inputs) + position)
            array = np.ascontiguousarray(statement.outputs.arrays[value])
        products[position] = array.reshape(-1, columns)
    _check_ranges(model, nodes, products)
    return products


def _check_ranges(model: Model, nodes: tuple[tuple[int, Node], ...], products: dict[int, NDArray]) -> None:
    ranges = value_ranges(model.graph, model.constants)
    for position, node in nodes:
        bounds = accumulator_bounds(model.graph, node, [ranges[index] for index in node.inputs], model.constants)
        bias = model.constants[node.constants[1]].astype(np.int64) if isinstance(node.operator, FullyConnected) else 0
        # Both ends fit int32: the model's bounds hold for the sum in any order, so also without the bias.
        low, high = (bounds.low - bias).astype(INT32), (bounds.high - bias).astype(INT32)
        product = products[position]
        outside = (product < low).any(axis=1) | (product > high).any(axis=1)
        if bool(outside.any()):
            row = int(outside.argmax())
            column = int(((product[row] < low) | (product[row] > high)).argmax())
            raise Rejected(
                f"node {position}: no input gives this product at row {row}, column {column}",
                code=ErrorCode.PROOF_REJECTED,
                expected=f"[{low[column]}, {high[column]}]",
                got=int(product[row, column]),
            )


def product_of(x: NDArray, zero_point: int, weights: NDArray, threads: int) -> NDArray:
    """(x - zero_point) W^T for int8 x (M, K) and W (N, K): int32 (M, N), in range by the model's bounds."""
    if weights.shape[1] > MAX_DEPTH:  # sums fit int32 for these weights, not for all
        return reference.linear.exact_product(x.astype(np.int64) - zero_point, weights.T).astype(INT32)
    product = executor.matmul(x, weights.T, threads)
    if zero_point:
        # Sums without the zero point and with it are both in range, so modulo 2^32 gives the right one.
        product -= (zero_point * weights.sum(axis=1, dtype=np.int64)).astype(INT32)
    return product


def check_product(product: Product, point: list[Ext], projection: Projection) -> None:
    """Check one product at a point.

    Raises:
        Rejected: ``proof_rejected``, naming node and row.
    """
    r = challenge.weights(default_backend(), point, product.weights.shape[0])
    v = projection.project_transposed(product.weights, r)
    offset = base.mul(base.total(v, axis=0), base.element(-product.zero_point))
    computed = base.add(projection.project(product.x, v), offset)
    refuse_differences(computed, projection.project(product.claimed, r), f"the product of node {product.position}")


@dataclass(frozen=True, slots=True)
class Freivalds:
    """The suite."""

    random: RandomBytes = secrets.token_bytes
    """The verifier's secret randomness under ``private-128``."""
    projection: Projection | None = None
    """The kernels; the fastest where None."""

    @property
    def id(self) -> int:
        """Registered id."""
        return SuiteId.FREIVALDS

    @property
    def name(self) -> str:
        """Registered name."""
        return "freivalds"

    @property
    def parameter_sets(self) -> tuple[ParameterSet, ...]:
        """``public-128`` and ``private-128``."""
        return registered_sets(SuiteId.FREIVALDS)

    def security(self, graph: Graph, batch: int, parameter_set: int) -> Security:
        """From the widest product of the graph.

        Raises:
            Rejected: ``suite_unsupported_model``, ``security_unreachable``.
        """
        floor = next(item.security_bits for item in self.parameter_sets if item.id == parameter_set)
        return challenge.security(_columns(product_nodes(graph)), floor)

    def prove(
        self, model: Model, inputs: Batch, context: bytes, parameter_set: int, threads: int
    ) -> tuple[Batch, bytes]:
        """Run the model and keep its products.

        Raises:
            TaskError: the inputs are not the model's.
            Rejected: ``suite_unsupported_model``, ``security_unreachable``.
        """
        self.security(model.graph, inputs.size, parameter_set)
        kept: list[NDArray] = []

        def multiply(_position: int, node: Node, x: NDArray, zero_point: int) -> NDArray:
            product = product_of(x, zero_point, model.constants[node.constants[0]], threads)
            if isinstance(node.operator, FullyConnected):
                kept.append(product)
            return product

        outputs = evaluate(model, inputs, multiply)
        return outputs, b"".join(product.tobytes() for product in kept)

    def verify(self, statement: Statement, body: bytes, parameter_set: int, threads: int) -> Security:
        """Check the products' sizes and ranges, recompute the rest, compare the outputs, then check the products.

        Raises:
            Rejected: ``suite_unsupported_model``, ``security_unreachable``, ``truncated_proof``, ``trailing_bytes``,
                ``output_mismatch`` or ``proof_rejected``.
        """
        model = require_model(statement)
        security = self.security(model.graph, statement.inputs.size, parameter_set)
        claimed = read_products(model, statement, body)
        products: list[Product] = []

        def multiply(position: int, node: Node, x: NDArray, zero_point: int) -> NDArray:
            weights = model.constants[node.constants[0]]
            products.append(Product(position, x, zero_point, weights, claimed[position]))
            return claimed[position]

        compare_outputs(evaluate(model, statement.inputs, multiply), statement.outputs)
        count = challenge.variables(_columns(product_nodes(model.graph)))
        if parameter_set == ParameterSetId.PUBLIC_128:
            point = public_point(statement, body, count)
        else:
            point = challenge.private_point(count, self.random)
        projection = self.projection or default_projection()
        for product in products:
            check_product(product, point, projection)
        return security


def _columns(nodes: tuple[tuple[int, Node], ...]) -> int:
    return max(node.output.shape[-1] for _, node in nodes)


def public_point(statement: Statement, body: bytes, count: int) -> list[Ext]:
    """The challenge bound to the statement (model, inputs, outputs, context) and to every product."""
    transcript = Transcript(PROTOCOL)
    transcript.absorb_int("parameter set", ParameterSetId.PUBLIC_128)
    transcript.absorb_bytes("statement", encode(statement.record))
    challenge.absorb_blocks(transcript, default_backend(), "products", body)
    return transcript.challenges("point", count)


SUITE: Final = Freivalds()
