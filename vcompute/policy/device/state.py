# SPDX-License-Identifier: Apache-2.0
"""What a device says of itself. ``None`` is "unknown": it is neither yes nor no nor zero."""

from dataclasses import dataclass
from typing import Final, Protocol

from vcompute.codec import Bool, Enum, Int, field
from vcompute.registry import ThermalStatus

MINUTES_OF_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a device's state; each value may be unknown."""

    charging: bool | None = field(0, Bool(), "external power is connected", optional=True)
    battery: int | None = field(1, Int(0, 100), "battery level, percent; 100 where there is no battery", optional=True)
    thermal: ThermalStatus | None = field(2, Enum(ThermalStatus), "temperature status", optional=True)
    online: bool | None = field(3, Bool(), "a network is there", optional=True)
    metered: bool | None = field(4, Bool(), "the network costs by volume", optional=True)
    in_use: bool | None = field(5, Bool(), "the user is at the device", optional=True)
    minute: int | None = field(6, Int(0, MINUTES_OF_DAY - 1), "local time, minutes after midnight", optional=True)
    cores: int | None = field(7, Int(1, 1024), "processor cores", optional=True)
    memory: int | None = field(8, Int(0, 2**50), "bytes of memory available", optional=True)


class Driver(Protocol):
    """A source of readings."""

    def read(self, now: int) -> Reading:
        """The state at ``now`` (milliseconds). What cannot be read is unknown; a driver raises nothing."""
