# SPDX-License-Identifier: Apache-2.0
"""The opening of the commitments: claims about weighted sums of committed tables."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from field import ONE, ZERO, Element, P, add, bits_of, demand, dot, eq_bits, eq_table, mul, scale, sub
from transcript import DIGEST, Transcript

FOLD, MOST_FOLD = 4, 6
TINY = {"number": 4, "name": b"tiny", "security": 0, "rate": 2, "rate step": 1, "most rate": 8, "query bits": 2,
        "query work": 3, "most work": 0, "final variables": 5, "lane variables": 6}  # fmt: skip


@dataclass
class Oracle:
    """A committed table in one round."""

    lane_variables: int
    lanes: int
    extension: bool
    root: bytes = b""
    offset: int = 0


def shape_of(length: int, first: bool) -> tuple[int, int]:
    """Variables of a lane, and lanes: more of them in a long table that is committed first."""
    fold = min(max(bits_of(length) - TINY["lane variables"], FOLD), MOST_FOLD) if first else FOLD
    lane_variables = max(bits_of(length) - fold, 0)
    return lane_variables, max(1, -(-length >> lane_variables))


def stacked(oracles: Sequence[Oracle]) -> int:
    """Give every folded table its place in the next one; the total."""
    total = 0
    for oracle in sorted(oracles, key=lambda oracle: -oracle.lane_variables):
        oracle.offset = total
        total += 1 << oracle.lane_variables
    return total


def queries_for(rate: int, bits: int) -> int:
    return next(t for t in itertools.count(1) if (2**rate + 1) ** t << bits <= 1 << (rate + 1) * t)


def parameters(transcript: Transcript, shapes: Sequence[tuple[int, int]]) -> None:
    transcript.absorb(1, "parameter set", TINY["name"])
    for name in (
        "security",
        "rate",
        "rate step",
        "most rate",
        "query bits",
        "query work",
        "most work",
        "final variables",
        "lane variables",
    ):
        if name == "security":
            transcript.integer("parameter", FOLD)
            transcript.integer("parameter", MOST_FOLD)
        transcript.integer("parameter", TINY[name])
    transcript.integer("parameter", len(shapes))
    for lane_variables, lanes in shapes:
        transcript.integer("lane variables", lane_variables)
        transcript.integer("lanes", lanes)


def folds(transcript: Transcript, running: Element, count: int) -> tuple[Element, list[Element]]:
    point = []
    for _ in range(count):
        zero, leading = transcript.elements("sumcheck", 2)
        alpha = transcript.challenge("fold")
        slope = sub(running, add(zero, zero, leading))
        running = add(zero, mul(alpha, add(slope, mul(alpha, leading))))
        transcript.note("running claim", running)
        point.append(alpha)
    return running, point


def hashed(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:DIGEST]


def answers(transcript: Transcript, oracle: Oracle, rate: int, alphas: list[Element]) -> list[tuple[int, Element]]:
    """The queried points of a table and the values of its fold there."""
    height = oracle.lane_variables + rate
    positions = transcript.positions("positions", queries_for(rate, TINY["query bits"]), height)
    width = oracle.lanes * (1 + oracle.extension)
    words = transcript.words(3, "rows", width * len(positions))
    rows = [words[at : at + width] for at in range(0, len(words), width)]
    missing, known = [], positions
    for _ in range(height):
        missing.append([at ^ 1 for at in known if at ^ 1 not in known])
        known = sorted({at >> 1 for at in known})
    siblings = iter(transcript.digests("siblings", sum(map(len, missing))))
    level = {
        at: hashed(b"".join(word.to_bytes(8, "little") for word in row))
        for at, row in zip(positions, rows, strict=True)
    }
    for absent in missing:
        level |= {at: next(siblings) for at in absent}
        level = {at >> 1: hashed(b"\1" + level[at & ~1] + level[at | 1]) for at in level}
    demand(level[0] == oracle.root, "rows that do not lead to the root")
    lanes, seen = eq_table(alphas)[: oracle.lanes], []
    generator = pow(7, (P - 1) >> height, P)
    for at, row in zip(positions, rows, strict=True):
        values = list(zip(row[::2], row[1::2], strict=True)) if oracle.extension else [(word, 0) for word in row]
        y = pow(generator, int(f"{at:0{height}b}"[::-1] if height else "0", 2), P)
        seen.append((y, dot(values, lanes)))
    return seen


def powers_at(y: int, point: Sequence[Element]) -> Element:
    """The multilinear extension of the weights y^b at a point."""
    result = ONE
    for place, r in enumerate(reversed(point)):
        result = mul(result, add(sub(ONE, r), scale(r, pow(y, 1 << place, P))))
    return result


def open_claims(
    transcript: Transcript, oracles: list[Oracle], claims: list[tuple[int, dict[int, Element], Element]]
) -> None:
    """Claims (table, weights by place, value): VC-COM-004."""
    parameters(transcript, [(oracle.lane_variables, oracle.lanes) for oracle in oracles])
    values = [value for _, _, value in claims]
    transcript.absorb(4, "claimed values", b"".join(word.to_bytes(8, "little") for value in values for word in value))
    gamma = transcript.challenge("batch")
    running, power, gammas = ZERO, ONE, []
    for value in values:
        running, power = add(running, mul(power, value)), mul(power, gamma)
        gammas.append(power)
    gammas = [ONE, *gammas]
    transcript.note("claimed values", *values)
    transcript.note("batched claim", running)
    rate, first, rounds, point = TINY["rate"], oracles, [], []
    final: list[Element] = []
    while not final:
        total = stacked(oracles)
        running, alphas = folds(transcript, running, max(FOLD, *(bits_of(oracle.lanes) for oracle in oracles)))
        point += alphas
        following: list[Oracle] = []
        if bits_of(total) > TINY["final variables"]:
            following = [Oracle(*shape_of(total, False), True, transcript.digests("root", 1)[0])]
        else:
            final = transcript.elements("final polynomial", 1 << bits_of(total))
        transcript.work("query work", TINY["query work"])
        seen = [answers(transcript, oracle, rate, alphas) for oracle in oracles]
        if following:
            combination, power = transcript.challenge("combination"), ONE
            powers = []
            for group in seen:
                for _, value in group:
                    power = mul(power, combination)
                    powers.append(power)
                    running = add(running, mul(power, value))
            rounds.append((oracles, seen, powers, len(point)))
        else:
            for oracle, group in zip(oracles, seen, strict=True):
                block = final[oracle.offset : oracle.offset + (1 << oracle.lane_variables)]
                for y, value in group:
                    got = dot(block, [(pow(y, b, P), 0) for b in range(len(block))])
                    demand(got == value, "a leaf that disagrees with the final polynomial")
        oracles, rate = following or oracles, min(rate + TINY["rate step"], TINY["most rate"])
    running, tail = folds(transcript, running, bits_of(len(final)))
    point += tail
    transcript.squeeze("end of opening")
    value = dot(eq_table(tail), final)
    queried = ZERO
    for tables, seen, powers, bound in rounds:
        factors = iter(powers)
        for oracle, group in zip(tables, seen, strict=True):
            rest, inner = point[bound:], oracle.lane_variables
            prefix = eq_bits(oracle.offset >> inner, rest[: len(rest) - inner])
            for y, _ in group:
                queried = add(queried, mul(next(factors), prefix, powers_at(y, rest[len(rest) - inner :])))
    weights, fold = queried, rounds[0][3] if rounds else len(point) - len(tail)
    for number, (table, weight, _) in enumerate(claims):
        oracle, rest = first[table], point[fold:]
        inner = oracle.lane_variables
        prefix = eq_bits(oracle.offset >> inner, rest[: len(rest) - inner])
        own = eq_table([*point[:fold], *rest[len(rest) - inner :]])
        at = add(ZERO, *(mul(factor, own[place]) for place, factor in weight.items()))
        weights = add(weights, mul(gammas[number], prefix, at))
    transcript.note("opening point", *point)
    transcript.note("opening: value, running claim, query weights, weights", value, running, queried, weights)
    demand(running == mul(value, weights), "claims that do not hold for the final polynomial")
