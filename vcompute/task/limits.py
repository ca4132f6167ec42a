# SPDX-License-Identifier: Apache-2.0
"""Bounds of the task encoding: what a reader refuses as absurd before it computes or allocates anything."""

from typing import Final

from vcompute.codec import Limits

MAX_RANK: Final = 6
"""The most axes of a tensor, without the batch axis."""
MAX_DIMENSION: Final = 1 << 24
"""The longest axis."""
MAX_ELEMENTS: Final = 1 << 28
"""The most elements of one tensor, without the batch axis."""
MAX_VALUES: Final = 1 << 14
"""The most inputs, nodes, constants or outputs of a graph."""
MAX_WEIGHT_BYTES: Final = 1 << 32
"""The most bytes of all constants together."""
MAX_WORK: Final = 1 << 48
"""The most multiply-accumulates, and the most elements, of one sample."""
MAX_BATCH: Final = 1 << 24
"""The most samples of a batch."""
INT32_MAX: Final = (1 << 31) - 1

GRAPH_LIMITS: Final = Limits(bytes=1 << 24, depth=10, items=1 << 20)
"""What a reader admits of an encoded graph."""
MODEL_LIMITS: Final = Limits(bytes=(1 << 32) + (1 << 25), depth=4, items=16)
"""What a reader admits of a ``.vcm`` file."""
BATCH_LIMITS: Final = Limits(bytes=1 << 32, depth=6, items=1 << 12)
"""What a reader admits of an encoded batch of tensors."""
