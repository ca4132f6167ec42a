# SPDX-License-Identifier: Apache-2.0
"""The native backend: the C kernels behind the interface of :mod:`vcompute.field.backend`."""

from vcompute.field.portable import NumpyBackend


class NativeBackend(NumpyBackend):
    """Kernels not yet in C come from the numpy twin."""

    name = "native"
