# SPDX-License-Identifier: Apache-2.0
"""The kernels of the succinct suite behind one small interface, passed in as an argument.

Two implementations give the same words: :class:`vcompute.field.portable.NumpyBackend`, the readable one, and
:class:`vcompute.field.native.NativeBackend`. Arrays are C-contiguous and canonical; nothing is modified in place
except where a docstring says so.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import Words
from vcompute.field.scalar import ONE, Ext

DIGEST_BYTES: Final = 27
"""Digests are SHA-256 truncated to 216 bits: two of them and a prefix byte fill exactly one SHA-256 block."""

NODE_PREFIX: Final = b"\x01"
"""First byte of an inner node's preimage (55 bytes; a leaf's is a multiple of eight bytes, so never as long)."""

Digests: TypeAlias = NDArray[np.uint8]
"""Shape (n, DIGEST_BYTES)."""


Quad: TypeAlias = tuple[ExtWords, ExtWords, ExtWords, ExtWords]
"""Four tables of one shape."""


class Backend(Protocol):
    """Leaf kernels. ``*_base`` takes a base table, ``*_ext`` an extension table with its trailing axis of two."""

    name: str

    def add(self, a: Words, b: Words) -> Words:
        """a + b, base or extension."""
        ...

    def sub(self, a: Words, b: Words) -> Words:
        """a - b, base or extension."""
        ...

    def mul(self, a: Words, b: Words) -> Words:
        """a * b in F_p."""
        ...

    def inverse(self, a: Words) -> Words:
        """1/a in F_p, 0 for 0."""
        ...

    def ext_mul(self, a: ExtWords, b: ExtWords) -> ExtWords:
        """a * b in the extension."""
        ...

    def ext_mul_base(self, a: ExtWords, b: Words) -> ExtWords:
        """Extension (..., 2) times base (...)."""
        ...

    def ext_inverse(self, a: ExtWords) -> ExtWords:
        """1/a in the extension, 0 for 0."""
        ...

    def dot_base(self, a: ExtWords, b: Words) -> Ext:
        """The sum of a[i] * b[i], a (n, 2), b (n,)."""
        ...

    def dot_ext(self, a: ExtWords, b: ExtWords) -> Ext:
        """The sum of a[i] * b[i], both (n, 2)."""
        ...

    def eq_tensor(self, point: Sequence[Ext], scale: Ext = ONE) -> ExtWords:
        """scale * eq(point, b) for every b: (2^n, 2)."""
        ...

    def add_outer(self, table: ExtWords, outer: ExtWords, inner: ExtWords) -> None:
        """Add outer[i] * inner[j] to table[i * n + j], in place: (m * n, 2), (m, 2), (n, 2)."""
        ...

    def fold_base(self, table: Words, r: Ext) -> ExtWords:
        """Bind variable 0 of a base table to r."""
        ...

    def fold_ext(self, table: ExtWords, r: Ext, *, reuse: bool = False) -> ExtWords:
        """Bind variable 0 of an extension table to r; with ``reuse`` the result may take the table's place."""
        ...

    def round_base(self, f: Words, w: ExtWords) -> tuple[Ext, Ext]:
        """h(0) and the leading coefficient of h(X) = sum over b of f(X, b) * w(X, b), X being variable 0."""
        ...

    def round_ext(self, f: ExtWords, w: ExtWords) -> tuple[Ext, Ext]:
        """As :meth:`round_base` with f over the extension."""
        ...

    def fold_halves(self, low: Words, high: Words, r: Ext, out: ExtWords | None = None) -> ExtWords:
        """low + r * (high - low), both (n,) or both (n, 2); into ``out``, which may be ``low``."""
        ...

    def scale(self, table: Words, r: Ext, out: ExtWords) -> None:
        """r * table, (n,) or (n, 2), into ``out``, which may be the table."""
        ...

    def round_halves(self, low: tuple[Words, ExtWords], high: tuple[Words, ExtWords]) -> tuple[Ext, Ext]:
        """As :meth:`round_base` or :meth:`round_ext` for tables (f, w) given in halves: the sums of f * w, low, and of
        high - low.
        """
        ...

    def add_fractions(self, n0: ExtWords, d0: ExtWords, n1: ExtWords, d1: ExtWords) -> tuple[ExtWords, ExtWords]:
        """n0/d0 + n1/d1 element by element: n0 * d1 + n1 * d0, and d0 * d1."""
        ...

    def fraction_round(self, low: Quad, high: Quad, weights: ExtWords) -> tuple[Ext, Ext]:
        """For tables (a, b, c, d) in halves (n, 2): the sum of weights * (a * b + c * d), low, and of high - low."""
        ...

    def add_powers(self, table: ExtWords, positions: Sequence[int], log_domain: int, scales: ExtWords) -> None:
        """Add to table[b], in place, the sum over k of scales[k] * x_k^b, x_k the domain's point at positions[k].

        The table has 2^v <= 2^log_domain elements; positions are sorted and distinct; scales (len(positions), 2).
        """
        ...

    def domain_points(self, log_domain: int, positions: Sequence[int]) -> Words:
        """The points at positions of a codeword (see :mod:`vcompute.field.ntt`)."""
        ...

    def evaluate_at(self, coefficients: ExtWords, points: Words) -> ExtWords:
        """The sum over b of coefficients[b] * x^b for each base point x: (n, 2), (t,) to (t, 2)."""
        ...

    def powers_extension(self, point: Sequence[Ext], points: Words) -> ExtWords:
        """For each base point x, the multilinear extension of the weights x^b at ``point``: (t, 2)."""
        ...

    def encode(self, table: Words, lanes: int, rate_bits: int) -> Words:
        """Reed-Solomon code of each of ``lanes`` equal consecutive parts of a table of shape (lanes * n,) or
        (lanes * n, 2): rows (n * 2^rate_bits, lanes) or (n * 2^rate_bits, 2 * lanes); see :mod:`vcompute.field.ntt`.
        """
        ...

    def hash_rows(self, rows: Words) -> Digests:
        """The truncated SHA-256 of each row of (n, w) words, little-endian."""
        ...

    def hash_pairs(self, nodes: Digests) -> Digests:
        """The digests of NODE_PREFIX, nodes[2i], nodes[2i+1]: n/2 parents of n nodes."""
        ...

    def grind(self, seed: bytes, bits: int) -> int:
        """The least nonce < 2^64 for which SHA-256(seed, nonce as 8 bytes little-endian) begins with ``bits`` zero
        bits; ``seed`` is 32 bytes.
        """
        ...


def default_backend(threads: int = 1) -> Backend:
    """The native backend where the core was built, else the numpy twin (with one warning that it is slow), which has no
    threads. Results are the same with any number.
    """
    from vcompute import _native
    from vcompute.field.native import NativeBackend
    from vcompute.field.portable import NumpyBackend

    if _native.available():
        return NativeBackend(threads)
    _native.warn_fallback()
    return NumpyBackend()


def implementations() -> list[Any]:
    """Every backend this machine has: law tests and benchmarks run over all of them."""
    from vcompute import _native
    from vcompute.field.native import NativeBackend
    from vcompute.field.portable import NumpyBackend

    return [NumpyBackend(), *([NativeBackend()] if _native.available() else [])]
