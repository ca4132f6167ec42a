# SPDX-License-Identifier: Apache-2.0
"""L0: draws, bonds, standing, back-off, device policies."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

from vcompute.codec import encode
from vcompute.conformance.operations import rules
from vcompute.messages.offer import RATE_ONE
from vcompute.policy.device import DevicePolicy, Hours, Reading
from vcompute.policy.sampling import commitment, drawn
from vcompute.registry import ThermalStatus
from vectors.base import Group, wire, xof


def group() -> Group:
    """The group ``policy``."""
    result = Group("policy", "L0", "Draws, bonds, standing, back-off, device policies.")
    _draws(result)
    _deposits(result)
    _standing(result)
    _devices(result)
    return result


def _draws(result: Group) -> None:
    given_result = xof("vcompute/vectors/draw/result", 32)
    parties = [xof(f"vcompute/vectors/draw/party/{index}", 32) for index in range(3)]
    nonces = [xof(f"vcompute/vectors/draw/nonce/{index}", 32) for index in range(3)]
    for index, (party, nonce) in enumerate(zip(parties, nonces, strict=True)):
        result.valid(
            f"commitment-{index}",
            "sample.commitment",
            "VC-POL-012",
            {"result": given_result, "party": party, "nonce": nonce},
            {"commitment": commitment(given_result, party, nonce)},
        )
    for count in (1, 2, 3):
        for rate in (1, RATE_ONE // 16, RATE_ONE // 2, 3 * RATE_ONE // 4, RATE_ONE):
            chosen = dict(zip(parties[:count], nonces[:count], strict=True))
            result.valid(
                f"draw-{count}-parties-{rate}",
                "sample.draw",
                "VC-POL-010",
                {"result": given_result, "nonces": [list(item) for item in reversed(chosen.items())], "rate": rate},
                {"checked": drawn(given_result, chosen, rate)},
            )


BASE = {"policy": "sampled", "rate": 4096, "price": "1000", "conviction": "1", "watched": "0"}
BASE |= {"gain": "0", "check_cost": "0", "margin": "1"}


def _deposits(result: Group) -> None:
    good: dict[str, dict[str, Any]] = {
        "sampled-16": {},
        "sampled-2": {"rate": RATE_ONE // 2},
        "sampled-all": {"rate": RATE_ONE},
        "sampled-least": {"rate": 1},
        "always": {"policy": "always"},
        "check-cost": {"policy": "always", "check_cost": "70"},
        "margin": {"margin": "3/2"},
        "gain": {"gain": "500", "conviction": "9/10"},
        "third": {"rate": RATE_ONE // 3, "price": "7", "margin": "10/9"},
        "suite-error": {"conviction": str(1 - Fraction(1, 2**100)), "policy": "always"},
        "challenge": {"policy": "on_challenge", "watched": "1/100"},
        "free": {"price": "0"},
    }
    for name, change in good.items():
        given = BASE | change
        result.valid(f"deposit/{name}", "deposit.compute", "VC-POL-020", given, dict(rules.deposit_compute(given)))
    bad: dict[str, dict[str, Any]] = {
        "nobody-watches": {"policy": "on_challenge"},
        "no-rate": {"rate": 0},
        "never-convicts": {"conviction": "0"},
        "convicts-too-much": {"conviction": "3/2"},
        "margin-below-one": {"margin": "99/100"},
        "gain-negative": {"gain": "-1"},
        "price-negative": {"price": "-5"},
        "over-bound": {"rate": 1, "price": str(2**60)},
    }
    for name, change in bad.items():
        result.refused(f"deposit/{name}", "deposit.compute", "VC-POL-021", BASE | change, "terms_not_acceptable", name)


def _standing(result: Group) -> None:
    for verified, rejected, capacity, floor in (
        (0, 0, 8, 655),
        (1, 0, 8, 655),
        (2, 0, 8, 655),
        (15, 0, 8, 655),
        (16, 0, 1024, 655),
        (1000, 0, 1024, 655),
        (1000, 1, 1024, 655),
        (1000, 3, 1024, 655),
        (1000, 64, 4, 1),
        (10**9, 0, 4, 1),
        (10**9, 0, 0, 65536),
        (7, 22, 9, 9),
    ):
        given = {"verified": verified, "rejected": rejected, "capacity": capacity, "floor": floor}
        name = f"standing/{verified}-{rejected}-{capacity}-{floor}"
        result.valid(name, "standing.compute", "VC-POL-040", given, dict(rules.standing_compute(given)))
    for tries, after, jitter in ((0, None, 0), (3, None, 65535), (3, 60_000, 1), (20, None, 0), (1000, 1, 32768)):
        given = {"tries": tries, "retry_after": after, "jitter": jitter}
        name = f"back-off/{tries}-{after or 0}-{jitter}"
        result.valid(name, "backoff.compute", "VC-POL-042", given, dict(rules.backoff_compute(given)))


POLICY = DevicePolicy(
    True, 50, 30, ThermalStatus.LIGHT, ThermalStatus.SEVERE, False, False, (Hours(1320, 420),), 4, 1 << 30, 1000, 3000, 500, 200
)  # fmt: skip
GOOD = Reading(True, 80, ThermalStatus.NONE, True, False, False, 1380, 8, 4 << 30)


def _devices(result: Group) -> None:
    warm_up = [(0, GOOD), (500, GOOD), (1000, GOOD)]
    last = {
        "goes-on": GOOD,
        "unplugged": replace(GOOD, charging=False),
        "battery-between": replace(GOOD, battery=40),
        "battery-at-stop": replace(GOOD, battery=30),
        "battery-low": replace(GOOD, battery=29),
        "thermal-between": replace(GOOD, thermal=ThermalStatus.MODERATE),
        "thermal-severe": replace(GOOD, thermal=ThermalStatus.SEVERE),
        "offline": replace(GOOD, online=False),
        "metered": replace(GOOD, metered=True),
        "in-use": replace(GOOD, in_use=True),
        "hours-over": replace(GOOD, minute=420),
        "hours-last-minute": replace(GOOD, minute=419),
        "battery-unknown": replace(GOOD, battery=None),
        "nothing-known": Reading(),
    }
    for name, reading in last.items():
        _run(result, name, [*warm_up, (1400, reading)], "VC-DEV-001 VC-DEV-002 VC-DEV-004")
    unknown = replace(GOOD, thermal=None)
    _run(result, "unknown-within-grace", [*warm_up, *((1500 + 500 * i, unknown) for i in range(6))], "VC-DEV-004")
    _run(result, "unknown-for-grace", [*warm_up, *((1500 + 500 * i, unknown) for i in range(7))], "VC-DEV-004")
    _run(result, "unknown-after-gap", [*warm_up, (5000, unknown)], "VC-DEV-004")
    _run(
        result,
        "settling-starts-over",
        [(0, GOOD), (500, replace(GOOD, battery=49)), (900, GOOD), (1400, GOOD), (1900, GOOD)],
        "VC-DEV-003",
    )
    _run(result, "gap-while-settling", [(0, GOOD), (600, GOOD), (1100, GOOD), (1599, GOOD), (1600, GOOD)], "VC-DEV-003")
    _run(result, "begins-in-hysteresis", [(500 * i, replace(GOOD, battery=49)) for i in range(4)], "VC-DEV-002")
    for name, policy in (
        ("battery", replace(POLICY, battery_stop=51)),
        ("thermal", replace(POLICY, thermal_stop=ThermalStatus.LIGHT)),
    ):
        given = {"policy": encode(policy), "readings": []}
        result.refused(
            f"device/no-hysteresis-{name}",
            "device.run",
            "VC-DEV-002",
            given,
            "value_out_of_range",
            "thresholds reversed",
        )
    for name, data, error in (
        ("reading-trailing", encode(GOOD) + b"\x00", "malformed_encoding"),
        ("battery-101", b"\xa1\x01\x18\x65", "schema_violation"),
        ("battery-text", b"\xa1\x01\x61\x31", "schema_violation"),
        ("thermal-unregistered", b"\xa1\x02\x09", "schema_violation"),
        ("unknown-key", b"\xa1\x09\xf5", "schema_violation"),
    ):
        given = {"policy": encode(POLICY), "readings": [[0, data]]}
        result.refused(f"device/{name}", "device.run", "VC-DEV-008", given, error, name)


def _run(result: Group, name: str, readings: list[tuple[int, Reading]], requirements: str) -> None:
    given = {"policy": encode(POLICY), "readings": [[now, encode(reading)] for now, reading in readings]}
    result.valid(f"device/{name}", "device.run", requirements, given, dict(rules.device_run(wire(given))))
