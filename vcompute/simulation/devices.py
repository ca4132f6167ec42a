# SPDX-License-Identifier: Apache-2.0
"""When devices work: days of generated readings, put through the library's own governor."""

from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from vcompute.policy.device import DevicePolicy, Governor, Mode, Reading
from vcompute.policy.device.trace import TraceDriver
from vcompute.registry import ThermalStatus
from vcompute.simulation.scenario import DAY, MINUTE

POLICY: Final = DevicePolicy(
    charging=True,
    battery_begin=50,
    battery_stop=30,
    thermal_begin=ThermalStatus.LIGHT,
    thermal_stop=ThermalStatus.SEVERE,
    metered=False,
    in_use=False,
    hours=(),
    cores=4,
    memory=1 << 30,
    settle=5 * MINUTE,
    grace=3 * MINUTE,
    poll=MINUTE,
    stop_within=3_000,
)
"""What the owners of the simulated phones ask for."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A time in which a device works, in milliseconds of its day."""

    begin: int
    end: int


def day(random: Random) -> list[tuple[int, Reading]]:
    """A day of a phone, a reading a minute: charged over night or at a desk, carried about, warm, forgetful."""
    desk = random.random() < 0.3
    plug = (random.randrange(8 * 60, 10 * 60), random.randrange(15 * 60, 18 * 60))
    bed = (random.randrange(21 * 60, 24 * 60), random.randrange(5 * 60, 8 * 60))
    away = (random.randrange(8 * 60, 9 * 60), random.randrange(16 * 60, 19 * 60))
    battery, heat, blind, use = 90.0, 0, 0, 0
    lines = []
    for minute in range(24 * 60):
        night = minute >= bed[0] or minute < bed[1]
        charging = night or (desk and plug[0] <= minute < plug[1])
        battery = min(100.0, battery + 0.6) if charging else max(1.0, battery - 0.08)
        heat = heat - 1 if heat else random.randrange(10, 40) if random.random() < 0.002 else 0
        blind = blind - 1 if blind else random.randrange(1, 8) if random.random() < 0.003 else 0
        chance = 0.002 if night else 0.03
        use = use - 1 if use else random.randrange(1, 20) if random.random() < chance else 0
        reading = Reading(
            charging=charging,
            battery=None if blind else int(battery),
            thermal=ThermalStatus.SEVERE if heat else ThermalStatus.NONE,
            online=random.random() > 0.001,
            metered=away[0] <= minute < away[1] and not desk,
            in_use=use > 0,
            minute=minute,
            cores=8,
            memory=2 << 30,
        )
        lines.append((minute * MINUTE, reading))
    return lines


def shifts(lines: list[tuple[int, Reading]]) -> tuple[Shift, ...]:
    """The shifts a governor under :data:`POLICY` makes of a day of readings."""
    driver, governor = TraceDriver(lines), Governor(POLICY)
    result = []
    begun: int | None = None
    for now in range(0, DAY, MINUTE):
        mode = governor.observe(driver.read(now), now)
        if mode is Mode.WORKING and begun is None:
            begun = now
        elif mode is Mode.STOPPING and begun is not None:
            result.append(Shift(begun, now))
            begun = None
            governor.stopped()
    return (*result, Shift(begun, DAY)) if begun is not None else tuple(result)


@lru_cache(maxsize=8)
def fleet(seed: int, count: int) -> tuple[tuple[Shift, ...], ...]:
    """The shifts of ``count`` device days that have any, drawn from a seed."""
    random = Random(seed)  # noqa: S311 - a simulation wants reproducible numbers
    days: list[tuple[Shift, ...]] = []
    while len(days) < count:
        made = shifts(day(random))
        if made:
            days.append(made)
    return tuple(days)
