# SPDX-License-Identifier: Apache-2.0
"""The numpy backend: every kernel in its plainest form."""

import hashlib
from collections.abc import Sequence

import numpy as np

from vcompute.field import extension as ext
from vcompute.field import goldilocks as base
from vcompute.field import multilinear, ntt
from vcompute.field.backend import DIGEST_BYTES, NODE_PREFIX, Digests, Quad
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import Words
from vcompute.field.scalar import ONE, Ext, to_array


class NumpyBackend:
    """See :class:`vcompute.field.backend.Backend` for the contracts."""

    name = "numpy"

    def add(self, a: Words, b: Words) -> Words:
        return base.add(a, b)

    def sub(self, a: Words, b: Words) -> Words:
        return base.sub(a, b)

    def mul(self, a: Words, b: Words) -> Words:
        return base.mul(a, b)

    def inverse(self, a: Words) -> Words:
        return base.inverse(a)

    def ext_mul(self, a: ExtWords, b: ExtWords) -> ExtWords:
        return ext.mul(a, b)

    def ext_mul_base(self, a: ExtWords, b: Words) -> ExtWords:
        return ext.mul_base(a, b)

    def ext_inverse(self, a: ExtWords) -> ExtWords:
        return ext.inverse(a)

    def dot_base(self, a: ExtWords, b: Words) -> Ext:
        c0, c1 = ext.dot_base(a, b)
        return Ext(int(c0), int(c1))

    def dot_ext(self, a: ExtWords, b: ExtWords) -> Ext:
        c0, c1 = ext.dot(a, b)
        return Ext(int(c0), int(c1))

    def eq_tensor(self, point: Sequence[Ext], scale: Ext = ONE) -> ExtWords:
        return multilinear.eq_tensor(point, scale)

    def add_outer(self, table: ExtWords, outer: ExtWords, inner: ExtWords) -> None:
        product = ext.mul(outer[:, np.newaxis], inner[np.newaxis]).reshape(-1, 2)
        table[...] = base.add(table, product)

    def fold_base(self, table: Words, r: Ext) -> ExtWords:
        return multilinear.fold_base(table, r)

    def fold_ext(self, table: ExtWords, r: Ext, *, reuse: bool = False) -> ExtWords:
        return multilinear.fold_ext(table, r)

    def round_base(self, f: Words, w: ExtWords) -> tuple[Ext, Ext]:
        (f0, f1), (w0, w1) = np.split(f, 2), np.split(w, 2)
        return self.dot_base(w0, f0), self.dot_base(base.sub(w1, w0), base.sub(f1, f0))

    def round_ext(self, f: ExtWords, w: ExtWords) -> tuple[Ext, Ext]:
        (f0, f1), (w0, w1) = np.split(f, 2), np.split(w, 2)
        return self.dot_ext(w0, f0), self.dot_ext(base.sub(w1, w0), base.sub(f1, f0))

    def fold_halves(self, low: Words, high: Words, r: Ext, out: ExtWords | None = None) -> ExtWords:
        if low.ndim == 1:
            low, high = ext.lift(low), ext.lift(high)
        folded: ExtWords = base.add(low, ext.mul(base.sub(high, low), to_array([r])))
        if out is None:
            return folded
        out[...] = folded
        return out

    def scale(self, table: Words, r: Ext, out: ExtWords) -> None:
        out[...] = ext.mul(ext.lift(table) if table.ndim == 1 else table, to_array([r]))

    def round_halves(self, low: tuple[Words, ExtWords], high: tuple[Words, ExtWords]) -> tuple[Ext, Ext]:
        dot = self.dot_base if low[0].ndim == 1 else self.dot_ext
        f, w = (base.sub(top, bottom) for top, bottom in zip(high, low, strict=True))
        return dot(low[1], low[0]), dot(w, f)

    def add_fractions(self, n0: ExtWords, d0: ExtWords, n1: ExtWords, d1: ExtWords) -> tuple[ExtWords, ExtWords]:
        return base.add(ext.mul(n0, d1), ext.mul(n1, d0)), ext.mul(d0, d1)

    def fraction_round(self, low: Quad, high: Quad, weights: ExtWords) -> tuple[Ext, Ext]:
        step = [base.sub(top, bottom) for top, bottom in zip(high, low, strict=True)]
        sums = [base.add(ext.mul(a, b), ext.mul(c, d)) for a, b, c, d in (low, step)]
        return self.dot_ext(weights, sums[0]), self.dot_ext(weights, sums[1])

    def add_powers(self, table: ExtWords, positions: Sequence[int], log_domain: int, scales: ExtWords) -> None:
        for position, scale in zip(positions, scales, strict=True):
            powers = base.powers(ntt.domain_point(log_domain, position), table.shape[0])
            table[...] = base.add(table, ext.mul_base(scale[np.newaxis], powers))

    def domain_points(self, log_domain: int, positions: Sequence[int]) -> Words:
        return np.array([ntt.domain_point(log_domain, position) for position in positions], dtype=np.uint64)

    def evaluate_at(self, coefficients: ExtWords, points: Words) -> ExtWords:
        result = np.zeros((points.shape[0], 2), dtype=np.uint64)
        for coefficient in coefficients[::-1]:
            result = base.add(ext.mul_base(result, points), coefficient)
        return result

    def powers_extension(self, point: Sequence[Ext], points: Words) -> ExtWords:
        one = to_array([ONE])
        product, power = ext.lift(np.ones_like(points)), points
        for r in reversed(point):  # the last variable is the least significant bit of b
            step = ext.mul_base(to_array([r]), base.sub(power, np.ones_like(power)))
            product = ext.mul(product, base.add(step, one))
            power = base.mul(power, power)
        return product

    def encode(self, table: Words, lanes: int, rate_bits: int) -> Words:
        n = table.shape[0] // lanes
        columns = table.reshape(lanes, n, -1)  # an extension lane is two base lanes
        return ntt.encode(columns.transpose(0, 2, 1).reshape(-1, n), rate_bits)

    def hash_rows(self, rows: Words) -> Digests:
        data = np.ascontiguousarray(rows, dtype="<u8")
        digests = b"".join(hashlib.sha256(row.tobytes()).digest()[:DIGEST_BYTES] for row in data)
        return np.frombuffer(digests, dtype=np.uint8).reshape(-1, DIGEST_BYTES)

    def hash_pairs(self, nodes: Digests) -> Digests:
        pairs = nodes.reshape(-1, 2 * DIGEST_BYTES)
        digests = b"".join(hashlib.sha256(NODE_PREFIX + pair.tobytes()).digest()[:DIGEST_BYTES] for pair in pairs)
        return np.frombuffer(digests, dtype=np.uint8).reshape(-1, DIGEST_BYTES)

    def grind(self, seed: bytes, bits: int) -> int:
        nonce = 0
        while not proof_of_work(seed, bits, nonce):
            nonce += 1
        return nonce


def proof_of_work(seed: bytes, bits: int, nonce: int) -> bool:
    """Whether a nonce does the work: see :meth:`vcompute.field.backend.Backend.grind`."""
    digest = hashlib.sha256(seed + nonce.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "big") >> (256 - bits) == 0
