# SPDX-License-Identifier: Apache-2.0
"""The native executor: plans over the C core's int8 kernels, bit for bit :mod:`vcompute.kernels.reference`."""

from vcompute.kernels.native.matmul import PackedMatrix, matmul, pack
from vcompute.kernels.native.plan import Plan, compile_plan

__all__ = ["PackedMatrix", "Plan", "compile_plan", "matmul", "pack"]
