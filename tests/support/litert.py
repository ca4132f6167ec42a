# SPDX-License-Identifier: Apache-2.0
"""ai-edge-litert's reference kernels as an oracle."""

from typing import Any

import numpy as np


class Oracle:
    """A model in the reference interpreter, every tensor kept."""

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.interpreter = Interpreter(
            model_content=model,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        self.interpreter.allocate_tensors()
        self.inputs: list[dict[str, Any]] = self.interpreter.get_input_details()
        self.outputs: list[dict[str, Any]] = self.interpreter.get_output_details()

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs for one sample; arrays have no batch axis."""
        for detail, array in zip(self.inputs, arrays, strict=True):
            self.interpreter.set_tensor(detail["index"], array[np.newaxis])
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(detail["index"])[0] for detail in self.outputs]

    def operator_outputs(self) -> list[np.ndarray]:
        """After a run: every operator's output, in the file's order, without the batch axis."""
        return [self.interpreter.get_tensor(op["outputs"][0])[0] for op in self.interpreter._get_ops_details()]
