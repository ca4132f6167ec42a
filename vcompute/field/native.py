# SPDX-License-Identifier: Apache-2.0
"""The native backend: the C kernels behind the interface of :mod:`vcompute.field.backend`.

Here shapes meet pointers, so every array is made contiguous, its type and shape checked, before C sees it. Arguments
are the library's own, never a peer's: a shape that does not fit is a ValueError.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vcompute import _native
from vcompute.field.backend import DIGEST_BYTES, Digests, Quad
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import Words
from vcompute.field.scalar import ONE, Ext, to_array

LINE: Final = 8
"""Words of a line of the cache."""

LEAST_PART: Final = 1 << 15
"""Words of work that a thread is worth waking for."""


class NativeBackend:
    """See :class:`vcompute.field.backend.Backend` for the contracts."""

    name = "native"

    def __init__(self, threads: int = 1) -> None:
        """Raises UsageError (native_unavailable) where the core was not built."""
        _native.require()
        self._lib = _native.lib
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads - 1, "field") if threads > 1 else None

    def part_count(self, size: int) -> int:
        """How many parts a piece of work on so many words deserves."""
        return min(self._threads, max(size // LEAST_PART, 1))

    def parts(self, work: Callable[[int, int], None], count: int, size: int) -> None:
        """work(first, number) over 0 .. count - 1, in as many threads as the size in words deserves; the C kernels
        release the interpreter's lock.
        """
        threads = min(self._threads, count, max(size // LEAST_PART, 1))
        if self._pool is None or threads < 2:
            work(0, count)
            return
        bounds = [count * part // threads for part in range(threads + 1)]
        first, *others = pairwise(bounds)
        running = [self._pool.submit(work, start, stop - start) for start, stop in others]
        try:
            work(first[0], first[1])
        finally:
            wait(running)  # they write to arrays of the caller's
        for part in running:
            part.result()

    def add(self, a: Words, b: Words) -> Words:
        return _elementwise(self._lib.vc_gl_add_n, a, b)

    def sub(self, a: Words, b: Words) -> Words:
        return _elementwise(self._lib.vc_gl_sub_n, a, b)

    def mul(self, a: Words, b: Words) -> Words:
        return _elementwise(self._lib.vc_gl_mul_n, a, b)

    def inverse(self, a: Words) -> Words:
        a = np.ascontiguousarray(a)
        out = np.empty_like(a)
        self._lib.vc_gl_inverse_n(_words(out), _words(a), a.size)
        return out

    def ext_mul(self, a: ExtWords, b: ExtWords) -> ExtWords:
        if a.ndim == 2 and b.shape == (1, 2) and a.shape[0] != 1:
            return self._scale(a, b)
        if b.ndim == 2 and a.shape == (1, 2) and b.shape[0] != 1:
            return self._scale(b, a)
        return _elementwise(self._lib.vc_ext_mul_n, a, b, words=2)

    def _scale(self, a: ExtWords, factor: ExtWords) -> ExtWords:
        a, factor = np.ascontiguousarray(a), np.ascontiguousarray(factor)
        out = np.empty_like(a)
        self._lib.vc_ext_scale_n(_words(out), _words(a), _words(factor), a.shape[0])
        return out

    def ext_mul_base(self, a: ExtWords, b: Words) -> ExtWords:
        if a.shape[:-1] != b.shape:  # as rarely as below
            shape = np.broadcast_shapes(a.shape[:-1], b.shape)
            a, b = np.broadcast_to(a, (*shape, 2)), np.broadcast_to(b, shape)
        left, right = np.ascontiguousarray(a), np.ascontiguousarray(b)
        out = np.empty_like(left)
        self._lib.vc_ext_mul_base_n(_words(out), _words(left), _words(right), right.size)
        return out

    def ext_inverse(self, a: ExtWords) -> ExtWords:
        a = np.ascontiguousarray(a)
        out, scratch = np.empty_like(a), np.empty(a.size, dtype=np.uint64)
        self._lib.vc_ext_inverse_n(_words(out), _words(a), a.size // 2, _words(scratch))
        return out

    def dot_base(self, a: ExtWords, b: Words) -> Ext:
        _require(a.shape == (*b.shape, 2), a, b)
        return self._sum(self._lib.vc_ext_dot_base, a, b, b.size)

    def dot_ext(self, a: ExtWords, b: ExtWords) -> Ext:
        _require(a.shape == b.shape and a.shape[-1:] == (2,), a, b)
        return self._sum(self._lib.vc_ext_dot, a, b, a.size // 2)

    def _sum(self, kernel: Any, a: Words, b: Words, count: int) -> Ext:
        out = np.empty(2, dtype=np.uint64)
        kernel(_words(out), _words(np.ascontiguousarray(a)), _words(np.ascontiguousarray(b)), count)
        return Ext(int(out[0]), int(out[1]))

    def eq_tensor(self, point: Sequence[Ext], scale: Ext = ONE) -> ExtWords:
        out = np.empty((1 << len(point), 2), dtype=np.uint64)
        self._lib.vc_eq_tensor(_words(out), _words(to_array(point)), len(point), _words(to_array([scale])))
        return out

    def add_outer(self, table: ExtWords, outer: ExtWords, inner: ExtWords) -> None:
        _require(table.shape == (len(outer) * len(inner), 2), table, outer, inner)
        outer, inner = np.ascontiguousarray(outer), np.ascontiguousarray(inner)
        self._lib.vc_ext_add_outer(_words(table), _words(outer), len(outer), _words(inner), len(inner))

    def fold_base(self, table: Words, r: Ext) -> ExtWords:
        half = _half(table)
        return self.fold_halves(table[:half], table[half:], r)

    def fold_ext(self, table: ExtWords, r: Ext, *, reuse: bool = False) -> ExtWords:
        half = _half(table)
        return self.fold_halves(table[:half], table[half:], r, table[:half] if reuse else None)

    def round_base(self, f: Words, w: ExtWords) -> tuple[Ext, Ext]:
        return self.round_ext(f, w)

    def round_ext(self, f: Words, w: ExtWords) -> tuple[Ext, Ext]:
        _require(f.shape[0] == w.shape[0], f, w)
        half = _half(f)
        return self.round_halves((f[:half], w[:half]), (f[half:], w[half:]))

    def fold_halves(self, low: Words, high: Words, r: Ext, out: ExtWords | None = None) -> ExtWords:
        if out is None:
            out = np.empty((low.shape[0], 2), dtype=np.uint64)
        _require(low.shape == high.shape and out.shape == (low.shape[0], 2), low, high, out)
        kernel, words = (self._lib.vc_fold_base, 1) if low.ndim == 1 else (self._lib.vc_fold_ext, 2)
        to, bottom, top, factor = map(_words, (out, low, high, to_array([r])))

        def part(first: int, count: int) -> None:
            kernel(to + 2 * first, bottom + words * first, top + words * first, factor, count)

        self.parts(part, low.shape[0], out.size)
        return out

    def scale(self, table: Words, r: Ext, out: ExtWords) -> None:
        _require(out.shape == (table.shape[0], 2) and table.shape[1:] in ((), (2,)), table, out)
        kernel, words = (self._lib.vc_base_scale_n, 1) if table.ndim == 1 else (self._lib.vc_ext_scale_n, 2)
        to, source, factor = map(_words, (out, table, to_array([r])))

        def part(first: int, count: int) -> None:
            kernel(to + 2 * first, source + words * first, factor, count)

        self.parts(part, table.shape[0], out.size)

    def round_halves(self, low: tuple[Words, ExtWords], high: tuple[Words, ExtWords]) -> tuple[Ext, Ext]:
        (f, w), count = low, len(low[0])
        _require(f.shape == high[0].shape and w.shape == high[1].shape == (count, 2), f, w, *high)
        kernel, words = (self._lib.vc_round_base, 1) if f.ndim == 1 else (self._lib.vc_round_ext, 2)
        f0, f1, w0, w1 = map(_words, (f, high[0], w, high[1]))
        found: list[tuple[Ext, Ext]] = []

        def part(first: int, count: int) -> None:
            sums, at, pair = np.empty(4, dtype=np.uint64), words * first, 2 * first
            kernel(_words(sums), f0 + at, f1 + at, w0 + pair, w1 + pair, count)
            found.append(_two(sums))

        self.parts(part, count, 2 * w.size)
        return sum((sums[0] for sums in found), Ext(0)), sum((sums[1] for sums in found), Ext(0))

    def product_rounds(
        self, seed: bytes, a: ExtWords, b: ExtWords, levels: Sequence[tuple[Words, int]], labels: tuple[str, str]
    ) -> tuple[ExtWords, ExtWords, bytes]:
        """A round of the sum of a * b for each level (runs of boxes: how many, of how many variables; and the length of
        the tail), both tables bound in place: the messages, the challenges, and the seed of the transcript's last
        squeeze where ``seed`` was that before. ``labels`` are those of messages and challenges.
        """
        ffi, count = _native.ffi, len(levels)
        _require(all(table.shape[1:] == (2,) for table in (a, b)), a, b)
        described = ffi.new("vc_stack_level[]", count)
        for handle, (groups, tail) in zip(described, levels, strict=True):
            handle.groups, handle.count, handle.tail = _words(groups), len(groups), tail
        messages, challenges = np.empty((2 * count, 2), np.uint64), np.empty((count, 2), np.uint64)
        state, (message, challenge) = bytearray(seed), (label.encode() for label in labels)
        self._lib.vc_stack_rounds(
            _words(messages), _words(challenges), ffi.from_buffer("uint8_t[]", state), _words(a), _words(b),
            described, count, message, challenge,
        )  # fmt: skip
        return messages, challenges, bytes(state)

    def add_fractions(self, n0: ExtWords, d0: ExtWords, n1: ExtWords, d1: ExtWords) -> tuple[ExtWords, ExtWords]:
        tables = (n0, d0, n1, d1)
        _require(all(table.shape == (len(n0), 2) for table in tables), *tables)
        n, d = np.empty_like(n0), np.empty_like(n0)
        self._lib.vc_fractions(_words(n), _words(d), *map(_words, tables), len(n0))
        return n, d

    def fraction_round(self, low: Quad, high: Quad, weights: ExtWords) -> tuple[Ext, Ext]:
        _require(all(table.shape == weights.shape for table in (*low, *high)), weights, *low, *high)
        sums = np.empty(4, dtype=np.uint64)
        halves = [_native.ffi.new("uint64_t *[4]", [_words(table) for table in half]) for half in (low, high)]
        self._lib.vc_fraction_round(_words(sums), *halves, _words(weights), len(weights))
        return _two(sums)

    def add_powers(self, table: ExtWords, positions: Sequence[int], log_domain: int, scales: ExtWords) -> None:
        log_table = _log2(table.shape[0])
        _require(log_table <= log_domain and scales.shape == (len(positions), 2), table, scales)
        at, scales = np.array(positions, dtype=np.uint64), np.ascontiguousarray(scales)
        scratch = np.empty(self._lib.vc_add_powers_scratch(log_table, log_domain), dtype=np.uint64)
        self._lib.vc_add_powers(
            _words(table),
            log_table,
            log_domain,
            _words(at),
            _words(np.ascontiguousarray(scales)),
            len(at),
            _words(scratch),
        )

    def domain_points(self, log_domain: int, positions: Sequence[int]) -> Words:
        at, out = np.array(positions, dtype=np.uint64), np.empty(len(positions), dtype=np.uint64)
        self._lib.vc_domain_points(_words(out), log_domain, _words(at), len(at))
        return out

    def evaluate_at(self, coefficients: ExtWords, points: Words) -> ExtWords:
        coefficients, out = np.ascontiguousarray(coefficients), np.empty((points.shape[0], 2), dtype=np.uint64)
        self._lib.vc_evaluate_at(
            _words(out), _words(coefficients), coefficients.shape[0], _words(points), points.shape[0]
        )
        return out

    def powers_extension(self, point: Sequence[Ext], points: Words) -> ExtWords:
        out = np.empty((points.shape[0], 2), dtype=np.uint64)
        self._lib.vc_powers_extension(_words(out), _words(to_array(point)), len(point), _words(points), points.shape[0])
        return out

    def encode(self, table: Words, lanes: int, rate_bits: int) -> Words:
        words = table.size // table.shape[0]
        log_lane = _log2(table.shape[0] // lanes)
        _require(words in {1, 2} and lanes << log_lane == table.shape[0], table)
        out = _aligned(1 << (log_lane + rate_bits), lanes * words)
        twiddles = np.empty(self._lib.vc_rs_twiddles_size(log_lane, rate_bits), dtype=np.uint64)
        self._lib.vc_rs_twiddles(_words(twiddles), log_lane, rate_bits)
        to, source, roots, width = _words(out), _words(np.ascontiguousarray(table)), _words(twiddles), out.shape[1]

        def rows(first: int, count: int) -> None:
            scratch = _aligned(1, self._lib.vc_rs_scratch(log_lane, width))
            self._lib.vc_rs_begin(to, source, lanes, log_lane, words, rate_bits, roots, first, count, _words(scratch))

        def blocks(first: int, count: int) -> None:
            self._lib.vc_rs_finish(to, width, log_lane, roots, first, count)

        self.parts(rows, self._lib.vc_rs_rows(log_lane), out.size)
        self.parts(blocks, self._lib.vc_rs_blocks(log_lane, rate_bits), out.size)
        return out

    def hash_rows(self, rows: Words) -> Digests:
        rows = np.ascontiguousarray(rows)
        out = np.empty((rows.shape[0], DIGEST_BYTES), dtype=np.uint8)
        to, source, width = _bytes(out), _words(rows), rows.shape[1]

        def part(first: int, count: int) -> None:
            self._lib.vc_hash_rows(to + DIGEST_BYTES * first, source + width * first, count, width)

        self.parts(part, rows.shape[0], rows.size)
        return out

    def hash_pairs(self, nodes: Digests) -> Digests:
        nodes = np.ascontiguousarray(nodes)
        _require(nodes.shape[0] % 2 == 0 and nodes.shape[1:] == (DIGEST_BYTES,), nodes)
        out = np.empty((nodes.shape[0] // 2, DIGEST_BYTES), dtype=np.uint8)
        to, source = _bytes(out), _bytes(nodes)

        def part(first: int, count: int) -> None:
            self._lib.vc_hash_pairs(to + DIGEST_BYTES * first, source + 2 * DIGEST_BYTES * first, count)

        self.parts(part, out.shape[0], nodes.size // 8)
        return out

    def hash_levels(self, nodes: Digests, count: int) -> None:
        """Fill in the levels of a Merkle tree above its first ``count`` nodes, level behind level."""
        _require(count & (count - 1) == 0 and nodes.shape == (2 * count - 1, DIGEST_BYTES), nodes)
        self._lib.vc_hash_levels(_bytes(nodes), count)

    def grind(self, seed: bytes, bits: int) -> int:
        if len(seed) != 32 or not 0 <= bits <= 64:
            raise ValueError(f"a seed of 32 bytes and at most 64 bits of work, not {len(seed)} bytes and {bits} bits")
        nonce: int = self._lib.vc_grind(seed, bits)
        return nonce


def _two(sums: Words) -> tuple[Ext, Ext]:
    a, b, c, d = (int(word) for word in sums)
    return Ext(a, b), Ext(c, d)


def _words(array: Words) -> Any:
    """The words of a contiguous array as C sees them; holds a reference to the array."""
    if array.dtype != np.uint64 or not array.flags.c_contiguous:
        raise ValueError(f"expected contiguous unsigned 64-bit words, not {array.dtype}")
    return _native.ffi.from_buffer("uint64_t[]", array)


def _aligned(rows: int, width: int) -> Words:
    """An array whose words begin at a line of the cache, so that no vector of its first row lies in two."""
    words = np.empty(rows * width + LINE, dtype=np.uint64)
    start = -words.ctypes.data // words.itemsize % LINE
    return words[start : start + rows * width].reshape(rows, width)


def _bytes(array: NDArray[np.uint8]) -> Any:
    if array.dtype != np.uint8 or not array.flags.c_contiguous:
        raise ValueError(f"expected contiguous bytes, not {array.dtype}")
    return _native.ffi.from_buffer("uint8_t[]", array)


def _elementwise(kernel: Any, a: Words, b: Words, words: int = 1) -> Words:
    if a.shape != b.shape:  # rarely: numpy takes longer to say so than a small product takes
        shape = np.broadcast_shapes(a.shape, b.shape)
        a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
    left, right = np.ascontiguousarray(a), np.ascontiguousarray(b)
    out = np.empty(a.shape, dtype=np.uint64)
    kernel(_words(out), _words(left), _words(right), out.size // words)
    return out


def _half(table: Words) -> int:
    _require(table.shape[0] % 2 == 0, table)
    half: int = table.shape[0] // 2
    return half


def _log2(count: int) -> int:
    if count < 1 or count & (count - 1):
        raise ValueError(f"{count} is not a power of two")
    return count.bit_length() - 1


def _require(condition: bool, *arrays: NDArray[Any]) -> None:
    if not condition:
        raise ValueError(f"arrays that do not fit: {[array.shape for array in arrays]}")
