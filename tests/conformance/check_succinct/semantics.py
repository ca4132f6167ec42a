# SPDX-License-Identifier: Apache-2.0
"""The integer semantics and the digests: those of ``check_vectors``, which shares no code with the library either."""

import importlib
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "check_vectors"))

arithmetic, operators, digests = map(importlib.import_module, ("arithmetic", "operators", "digests"))

Tensor, clamp, indices, requantize = arithmetic.Tensor, arithmetic.clamp, arithmetic.indices, arithmetic.requantize
evaluate, taps = operators.evaluate, operators.taps
blob, sha = digests.blob, digests.sha


def signed(data: bytes, size: int) -> list[int]:
    return [int.from_bytes(data[at : at + size], "little", signed=True) for at in range(0, len(data), size)]
