# SPDX-License-Identifier: Apache-2.0
"""``replay``: the verifier runs the model again. Arithmetic is exact, so one differing element convicts."""

from typing import Final

import numpy as np

from vcompute.errors import Rejected
from vcompute.kernels import executor
from vcompute.proof.statement import Statement, require_model
from vcompute.proof.suite import ParameterSet, Security, registered_sets
from vcompute.registry import ErrorCode, SuiteId
from vcompute.task import Batch, Graph, Model


class Replay:
    """The suite. Its proofs have no bytes of their own."""

    id: Final[int] = SuiteId.REPLAY
    name: Final = "replay"
    parameter_sets: Final[tuple[ParameterSet, ...]] = registered_sets(SuiteId.REPLAY)

    def security(self, graph: Graph, batch: int, parameter_set: int) -> Security:
        """Exact: there is no error to bound."""
        return Security()

    def prove(
        self, model: Model, inputs: Batch, context: bytes, parameter_set: int, threads: int
    ) -> tuple[Batch, bytes]:
        """Run the model; the body is empty.

        Raises:
            TaskError: the inputs are not the model's.
        """
        return executor.run(model, inputs, threads), b""

    def verify(self, statement: Statement, body: bytes, parameter_set: int, threads: int) -> Security:
        """Run the model again and compare.

        Raises:
            Rejected: ``trailing_bytes`` for a body that is not empty, ``suite_unsupported_model`` where the verifier
                holds no model, ``output_mismatch``.
        """
        if body:
            raise Rejected("a replay proof has no body", code=ErrorCode.TRAILING_BYTES, got=f"{len(body)} bytes")
        model = require_model(statement)
        compare_outputs(executor.run(model, statement.inputs, threads), statement.outputs)
        return Security()


def compare_outputs(computed: Batch, claimed: Batch) -> None:
    """Refuse outputs that differ, naming the first place; both are of the same types and size.

    Raises:
        Rejected: ``output_mismatch``.
    """
    for index, (right, got) in enumerate(zip(computed.arrays, claimed.arrays, strict=True)):
        different = right != got
        if bool(different.any()):
            place = tuple(int(i) for i in np.unravel_index(int(different.argmax()), different.shape))
            raise Rejected(
                f"output {index}, sample {place[0]}, element {place[1:]} is wrong",
                code=ErrorCode.OUTPUT_MISMATCH,
                expected=int(right[place]),
                got=int(got[place]),
            )


SUITE: Final = Replay()
