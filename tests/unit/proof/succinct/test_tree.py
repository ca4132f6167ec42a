# SPDX-License-Identifier: Apache-2.0
"""The native tree of fractions against its numpy twin: every message, at every layer, for boxes of every kind."""

from dataclasses import replace

import numpy as np
import pytest

from vcompute import _native
from vcompute.field import Backend, Ext, ExtWords, default_backend
from vcompute.field import native as field
from vcompute.field.extension import lift
from vcompute.field.goldilocks import elements
from vcompute.field.native import NativeBackend
from vcompute.proof.succinct.lookup import native as tree_of_fractions
from vcompute.proof.succinct.lookup.boxes import CountedLeaves, UnitLeaves
from vcompute.proof.succinct.lookup.geometry import Geometry, supports
from vcompute.proof.succinct.lookup.native import NativeTree
from vcompute.proof.succinct.lookup.prove import prove
from vcompute.proof.succinct.lookup.tree import NumpyTree
from vcompute.proof.succinct.stack import Stack
from vcompute.transcript import ProverTranscript

pytestmark = pytest.mark.skipif(not _native.available(), reason="the native core is not built")

STACKS = {
    "every kind": [(3, 5), (1,), (4, 2, 3), (7,), (), (2, 2), (1, 9), (300,), (16, 33), (16, 33), (2, 3, 17)],
    "axes of one variable": [(2, 2, 2, 2), (2, 3), (3, 2), (1, 2, 1, 5, 1)],
    "long first axes": [(112, 3), (97, 5, 2), (65, 8), (56, 30), (14, 7, 9), (128, 11), *[(15, 4)] * 6],
    "nodes": [
        (112, 6),
        (100, 7),
        (56, 9),
        (96, 1, 5),
        (65, 3),
        (72, 8),
        (28, 100),
        (14, 14),
        (12, 130),
        (7, 66),
        (5, 8),
        (4,),
    ],
    "long rows": [(3, 130, 150), (3, 130, 150), (5, 1, 20000)],
    "one value": [()],
    "one pair": [(2,)],
    "odd tail": [(), (), ()],
}


def random_ext(count: int, rng: np.random.Generator) -> ExtWords:
    return rng.integers(0, 1 << 62, (count, 2)).astype(np.uint64)


def points(count: int, rng: np.random.Generator) -> list[Ext]:
    return [Ext(int(a), int(b)) for a, b in random_ext(count, rng)]


def unit_leaves(size: int, kind: int, rng: np.random.Generator) -> UnitLeaves:
    """Keys to the end of their range; with a value, a sign, both or neither."""
    below = (1 << 18, 1 << 17, 1 << 27, 5)[kind % 4]
    key = rng.integers(0, below, size).astype(np.uint32)
    key[rng.integers(0, 3, size) == 0] = below - 1
    key[rng.integers(0, 3, size) == 0] = 0
    value = rng.integers(0, 256, size).astype(np.uint8) if kind % 3 == 1 else None
    sign = rng.integers(0, 2, size).astype(np.uint8) if kind % 5 == 2 else None
    return UnitLeaves(key, value, sign, random_ext(4, rng), below)


def denominators_of(leaves: UnitLeaves, backend: Backend) -> ExtWords:
    total = np.tile(leaves.constants[0], (leaves.key.size, 1))
    for scale, words in zip(leaves.constants[1:], (leaves.key, leaves.value, leaves.sign), strict=True):
        if words is not None:
            scales = np.broadcast_to(scale, total.shape)
            total = backend.add(total, backend.ext_mul_base(scales, words.astype(np.uint64)))
    return total


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("general_box", [0, 3])
def test_every_message_of_every_layer(name: str, general_box: int) -> None:
    """``general_box``: which boxes (by number modulo 4) have numerators of their own."""
    rng, backend, stack = np.random.default_rng(7), default_backend(), Stack(STACKS[name])
    assert supports(stack)
    unit, general, tables = {}, {}, []
    for number, box in enumerate(stack.boxes):
        size = int(np.prod(box))
        leaves = unit_leaves(size, number, rng)
        numerators, denominators = lift(np.ones(size, np.uint64)), denominators_of(leaves, backend)
        if number % 4 == general_box or stack.bits[number] < 2:
            numerators = random_ext(size, rng)
            general[number] = numerators, denominators
        else:
            unit[number] = leaves
        tables.append((numerators.reshape(*box, 2), denominators.reshape(*box, 2)))
    geometry = Geometry(stack, frozenset(unit))
    native = NativeTree(stack, geometry, unit, general)
    flat = [stack.assemble([pair[i] for pair in tables], (i, 0)) for i in (0, 1)]
    twin = NumpyTree(stack, flat[0], flat[1], backend)
    assert native.top() == twin.top()
    for s in range(stack.variables - 2, -1, -1):
        scale, claimed = points(1, rng)[0], points(stack.variables - 1 - s, rng)
        one, two = native.layer(s, scale, claimed), twin.layer(s, scale, claimed)
        for r in points(len(claimed), rng):
            assert one.message() == two.message()
            one.bind(r)
            two.bind(r)
        assert one.ends() == two.ends()


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize(("threads", "at_once"), [(1, 1 << 17), (1, 300), (1, 0), (3, 1 << 17)])
def test_a_whole_proof_by_both_trees(name: str, threads: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rounds and the transcript of a layer, or of all small ones, in one call of the core, or rounds shared by
    threads: the same proof.
    """
    monkeypatch.setattr(field, "LEAST_PART", 64)
    monkeypatch.setattr(tree_of_fractions, "MOST_AT_ONCE", at_once)
    rng, backend, stack = np.random.default_rng(8), default_backend(), Stack(STACKS[name])
    unit: dict[int, UnitLeaves] = {}
    general: dict[int, tuple[ExtWords, ExtWords] | CountedLeaves] = {}
    tables = []
    for number, box in enumerate(stack.boxes):
        leaves = unit_leaves(int(np.prod(box)), number, rng)
        numerators, denominators = lift(np.ones(leaves.key.size, np.uint64)), denominators_of(leaves, backend)
        if stack.bits[number] < 2:
            general[number] = numerators, denominators
        elif number % 4 == 2:
            counts = rng.integers(-3, 1 << 40, leaves.key.size)
            numerators, general[number] = lift(elements(-counts)), CountedLeaves(leaves, counts)
        else:
            unit[number] = leaves
        tables.append((numerators.reshape(*box, 2), denominators.reshape(*box, 2)))
    flat = [stack.assemble([pair[i] for pair in tables], (i, 0)) for i in (0, 1)]
    trees = [
        NativeTree(stack, Geometry(stack, frozenset(unit)), unit, general, NativeBackend(threads)),
        NumpyTree(stack, flat[0], flat[1], backend),
    ]
    proofs = []
    for tree in trees:
        transcript = ProverTranscript("test", backend)
        ends = prove(transcript, tree)
        proofs.append((ends, transcript.challenge("after"), transcript.finish()))
    assert proofs[0] == proofs[1]


def test_leaves_that_do_not_fit_are_refused() -> None:
    """The core is given no lengths of constants and counts."""
    rng, stack = np.random.default_rng(9), Stack([(4, 2)])
    leaves = unit_leaves(8, 1, rng)
    short = replace(leaves, constants=leaves.constants[:3])
    with pytest.raises(ValueError, match="four constants"):
        NativeTree(stack, Geometry(stack, frozenset({0})), {0: short}, {})
    counts = np.zeros(8, np.int64)
    for rows in (CountedLeaves(short, counts), CountedLeaves(leaves, counts[:7])):
        with pytest.raises(ValueError, match="counts as rows"):
            NativeTree(stack, Geometry(stack, frozenset()), {}, {0: rows})
