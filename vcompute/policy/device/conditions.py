# SPDX-License-Identifier: Apache-2.0
"""The owner's policy: conditions to begin work, looser ones to go on, and what an unknown value means."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vcompute.codec import Array, Bool, Enum, Int, Record, field
from vcompute.errors import ProtocolError
from vcompute.policy.device.state import MINUTES_OF_DAY, Reading
from vcompute.registry import ErrorCode, ThermalStatus, YieldReason

_MINUTE: Final = Int(0, MINUTES_OF_DAY - 1)
_SHORT: Final = Int(0, 3_600_000)


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of local time, midnight possibly inside; equal ends are the whole day."""

    begin: int = field(0, _MINUTE, "first minute after midnight")
    end: int = field(1, _MINUTE, "minute after the last")

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day is inside."""
        return (minute - self.begin) % MINUTES_OF_DAY < ((self.end - self.begin) % MINUTES_OF_DAY or MINUTES_OF_DAY)


@dataclass(frozen=True, slots=True)
class DevicePolicy:
    """When a device may work.

    Work begins when every condition to begin has held for ``settle`` and no value that a condition needs is unknown.
    It stops when a condition to go on fails, or a needed value has been unknown for ``grace``.
    """

    charging: bool = field(0, Bool(), "work on external power alone")
    battery_begin: int = field(1, Int(0, 100), "least battery level to begin, percent")
    battery_stop: int = field(2, Int(0, 100), "level below which work stops, percent; at most battery_begin")
    thermal_begin: ThermalStatus = field(3, Enum(ThermalStatus), "hottest status to begin at")
    thermal_stop: ThermalStatus = field(4, Enum(ThermalStatus), "status at which work stops; above thermal_begin")
    metered: bool = field(5, Bool(), "work on a metered network too")
    in_use: bool = field(6, Bool(), "work while the user is at the device too")
    hours: tuple[Hours, ...] = field(7, Array(Record(Hours), 0, 16), "when to work; none is always")
    cores: int = field(8, Int(1, 1024), "most cores to use")
    memory: int = field(9, Int(0, 2**50), "most bytes of memory a task may use")
    settle: int = field(10, _SHORT, "milliseconds the conditions hold before work begins")
    grace: int = field(11, _SHORT, "milliseconds a needed value may be unknown while working")
    poll: int = field(12, Int(100, 3_600_000), "most milliseconds between two readings")
    stop_within: int = field(13, Int(1, 60_000), "milliseconds from the reading that ends work to no work")

    def check(self) -> None:
        """Refuse thresholds without hysteresis.

        Raises:
            ProtocolError: ``value_out_of_range``.
        """
        if self.battery_stop > self.battery_begin:
            raise ProtocolError(
                "the battery level to stop at is above the one to begin at",
                code=ErrorCode.VALUE_OUT_OF_RANGE,
                expected=f"<= {self.battery_begin}",
                got=self.battery_stop,
            )
        if self.thermal_stop <= self.thermal_begin:
            raise ProtocolError(
                "the temperature status to stop at is not above the one to begin at",
                code=ErrorCode.VALUE_OUT_OF_RANGE,
                expected=f"> {self.thermal_begin.name.lower()}",
                got=self.thermal_stop.name.lower(),
            )

    def capacity(self, reading: Reading, task_memory: int) -> int:
        """Tasks of ``task_memory`` bytes the device can run at once under the policy; none where memory is unknown."""
        if reading.memory is None or reading.cores is None:
            return 0
        by_memory = min(self.memory, reading.memory) // max(task_memory, 1)
        return min(self.cores, reading.cores, by_memory)


def _shared(policy: DevicePolicy, reading: Reading) -> Iterator[tuple[bool | None, YieldReason]]:
    """Conditions that are the same to begin and to go on: whether each holds (None: unknown), and what it is about."""
    if policy.charging:
        yield reading.charging, YieldReason.BATTERY
    yield reading.online, YieldReason.NETWORK
    if not policy.metered:
        yield _not(reading.metered), YieldReason.NETWORK
    if not policy.in_use:
        yield _not(reading.in_use), YieldReason.USER
    if policy.hours:
        minute = reading.minute
        inside = None if minute is None else any(span.holds(minute) for span in policy.hours)
        yield inside, YieldReason.USER


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _at_least(value: int | None, bound: int) -> bool | None:
    return True if bound == 0 else None if value is None else value >= bound


def reasons_to_rest(policy: DevicePolicy, reading: Reading) -> list[tuple[bool | None, YieldReason]]:
    """The conditions to begin that do not hold, with ``None`` for those that are unknown."""
    conditions = [
        *_shared(policy, reading),
        (_at_least(reading.battery, policy.battery_begin), YieldReason.BATTERY),
        (None if reading.thermal is None else reading.thermal <= policy.thermal_begin, YieldReason.THERMAL),
    ]
    return [(holds, reason) for holds, reason in conditions if holds is not True]


def reasons_to_stop(policy: DevicePolicy, reading: Reading) -> list[tuple[bool | None, YieldReason]]:
    """The conditions to go on that do not hold, with ``None`` for those that are unknown."""
    conditions = [
        *_shared(policy, reading),
        (_at_least(reading.battery, policy.battery_stop), YieldReason.BATTERY),
        (None if reading.thermal is None else reading.thermal < policy.thermal_stop, YieldReason.THERMAL),
    ]
    return [(holds, reason) for holds, reason in conditions if holds is not True]
