# SPDX-License-Identifier: Apache-2.0
"""Every operator, one sample at a time, as the formulas of the chapter stand."""

from collections.abc import Iterable
from typing import Any

from arithmetic import Tensor, clamp, indices, requantize
from exponential import softmax


def taps(
    window: dict[int, int], kernel: tuple[int, int], image: tuple[int, ...], at: tuple[int, int]
) -> list[tuple[int, ...]]:
    """(kernel row, kernel column, image row, image column) of the taps inside the image."""
    found = []
    for row, column in indices(kernel):
        y = at[0] * window[0] + row * window[2] - window[4]
        x = at[1] * window[1] + column * window[3] - window[5]
        if 0 <= y < image[0] and 0 <= x < image[1]:
            found.append((row, column, y, x))
    return found


def conv(a: dict[int, Any], x: Tensor, k: list[Tensor], shape: tuple[int, ...], zero: int) -> list[int]:
    weights, bias, multiplier, shift = k
    out = []
    for i, j, c in indices(shape):
        total = bias.items[c]
        for row, column, y, z in taps(a[0], weights.shape[1:3], x.shape, (i, j)):
            total += sum(weights[c, row, column, d] * (x[y, z, d] - x.zero) for d in range(x.shape[2]))
        out.append(clamp(requantize(total, multiplier.items[c], shift.items[c], a[1]) + zero, a[2], a[3]))
    return out


def depthwise(a: dict[int, Any], x: Tensor, k: list[Tensor], shape: tuple[int, ...], zero: int) -> list[int]:
    weights, bias, multiplier, shift = k
    out = []
    for i, j, c in indices(shape):
        total = bias.items[c]
        for row, column, y, z in taps(a[0], weights.shape[:2], x.shape, (i, j)):
            total += weights[row, column, c] * (x[y, z, c // a[1]] - x.zero)
        out.append(clamp(requantize(total, multiplier.items[c], shift.items[c], a[2]) + zero, a[3], a[4]))
    return out


def rows_by_filter(x: Tensor, weights: Tensor) -> Iterable[tuple[int, int]]:
    """(channel, sum) of the last axis with each row of the filter."""
    channels, depth = weights.shape
    for start in range(0, len(x.items), depth):
        row = [value - x.zero for value in x.items[start : start + depth]]
        for c in range(channels):
            yield c, sum(w * v for w, v in zip(weights.items[c * depth : (c + 1) * depth], row, strict=True))


def dense(a: dict[int, Any], x: Tensor, k: list[Tensor], zero: int) -> list[int]:
    return [
        clamp(requantize(total + k[1].items[c], k[2].items[c], k[3].items[c], a[0]) + zero, a[1], a[2])
        for c, total in rows_by_filter(x, k[0])
    ]


def batch_matmul(a: dict[int, Any], x: Tensor, y: Tensor, shape: tuple[int, ...], zero: int) -> list[int]:
    depth = x.shape[-2] if a[0] else x.shape[-1]
    out = []
    for *lead, m, n in indices(shape):
        total = 0
        for k in range(depth):
            left = x.broadcast([*lead, k, m] if a[0] else [*lead, m, k]) - x.zero
            right = y.broadcast([*lead, n, k] if a[1] else [*lead, k, n]) - y.zero
            total += left * right
        out.append(clamp(requantize(total, a[2][0], a[2][1], a[3]) + zero, a[4], a[5]))
    return out


def add(a: dict[int, Any], x: Tensor, y: Tensor, shape: tuple[int, ...], zero: int) -> list[int]:
    out = []
    for index in indices(shape):
        left = requantize((x.broadcast(index) - x.zero) << 20, a[0][0], a[0][1], 1)
        right = requantize((y.broadcast(index) - y.zero) << 20, a[1][0], a[1][1], 1)
        out.append(clamp(requantize(left + right, a[2][0], a[2][1], 1) + zero, a[3], a[4]))
    return out


def mul(a: dict[int, Any], x: Tensor, y: Tensor, shape: tuple[int, ...], zero: int) -> list[int]:
    products = [(x.broadcast(i) - x.zero) * (y.broadcast(i) - y.zero) for i in indices(shape)]
    return [clamp(requantize(p, a[0][0], a[0][1], a[1]) + zero, a[2], a[3]) for p in products]


def pool(a: dict[int, Any], x: Tensor, shape: tuple[int, ...], greatest: bool) -> list[int]:
    out = []
    for i, j, c in indices(shape):
        seen = [x[y, z, c] for _, _, y, z in taps(a[0], (a[1], a[2]), x.shape, (i, j))]
        total, half = sum(seen), len(seen) // 2
        mean = (total + half) // len(seen) if total > 0 else -((-total + half) // len(seen))
        out.append(clamp(max(seen) if greatest else mean, a[3], a[4]))
    return out


def mean(a: dict[int, Any], x: Tensor, zero: int) -> list[int]:
    kept = [size for axis, size in enumerate(x.shape) if axis not in a[0]]
    sums = dict.fromkeys(indices(kept), 0)
    for index in indices(x.shape):
        sums[tuple(at for axis, at in enumerate(index) if axis not in a[0])] += x[index] - x.zero
    return [clamp(requantize(total, a[2][0], a[2][1], a[3]) + zero, a[4], a[5]) for total in sums.values()]


def pad(a: dict[int, Any], x: Tensor, shape: tuple[int, ...]) -> list[int]:
    out = []
    for index in indices(shape):
        at = [i - before for i, before in zip(index, a[0], strict=True)]
        out.append(x[at] if all(0 <= i < size for i, size in zip(at, x.shape, strict=True)) else a[2])
    return out


def concatenation(a: dict[int, Any], parts: list[Tensor], shape: tuple[int, ...]) -> list[int]:
    out = []
    for index in indices(shape):
        at = list(index)
        for part in parts:
            if at[a[0]] < part.shape[a[0]]:
                out.append(part[at])
                break
            at[a[0]] -= part.shape[a[0]]
    return out


def transpose(a: dict[int, Any], x: Tensor, shape: tuple[int, ...]) -> list[int]:
    out = []
    for index in indices(shape):
        at = [0] * len(index)
        for axis, source in enumerate(a[0]):
            at[source] = index[axis]
        out.append(x[at])
    return out


def evaluate(
    opcode: int, a: dict[int, Any], xs: list[Tensor], k: list[Tensor], shape: tuple[int, ...], zero: int
) -> list[int]:
    """The output of one node for one sample; ``a`` are the attributes by key."""
    return {
        1: lambda: conv(a, xs[0], k, shape, zero),
        2: lambda: depthwise(a, xs[0], k, shape, zero),
        3: lambda: dense(a, xs[0], k, zero),
        4: lambda: batch_matmul(a, xs[0], xs[1], shape, zero),
        5: lambda: add(a, xs[0], xs[1], shape, zero),
        6: lambda: mul(a, xs[0], xs[1], shape, zero),
        7: lambda: pool(a, xs[0], shape, greatest=False),
        8: lambda: pool(a, xs[0], shape, greatest=True),
        9: lambda: mean(a, xs[0], zero),
        10: lambda: pad(a, xs[0], shape),
        11: lambda: concatenation(a, xs, shape),
        12: lambda: xs[0].items,
        13: lambda: transpose(a, xs[0], shape),
        14: lambda: softmax(a, xs[0]),
        15: lambda: [k[0].items[value + 128] for value in xs[0].items],
        16: lambda: [
            clamp(requantize(value - xs[0].zero, a[0][0], a[0][1], a[1]) + zero, a[2], a[3]) for value in xs[0].items
        ],
        64: lambda: k[0].items,
        65: lambda: [total for _, total in rows_by_filter(xs[0], k[0])],
    }[opcode]()
