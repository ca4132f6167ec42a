# SPDX-License-Identifier: Apache-2.0
"""The native executor: plans over the C core's int8 kernels, bit for bit :mod:`vcompute.kernels.reference`."""

from vcompute.kernels.native.matmul import matmul
from vcompute.kernels.native.plan import Plan, compile_plan

__all__ = ["Plan", "compile_plan", "matmul"]
