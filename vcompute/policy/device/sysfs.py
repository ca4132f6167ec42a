# SPDX-License-Identifier: Apache-2.0
"""Readings of a Linux device out of ``/sys`` and ``/proc``. What is not there, or not what it should be, is unknown."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vcompute.policy.device.state import Reading
from vcompute.registry import ThermalStatus

_MAX_FILE: Final = 1 << 16
_TRIPS: Final = {"passive": ThermalStatus.MODERATE, "hot": ThermalStatus.SEVERE, "critical": ThermalStatus.CRITICAL}


def _minute_of_day(now: int) -> int:
    local = time.localtime(now / 1000)
    return local.tm_hour * 60 + local.tm_min


class SysfsDriver:
    """Power supplies, thermal zones, network interfaces and memory.

    Linux does not say whether a network is metered or the user is there; a caller that knows passes it in.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        metered: bool | None = None,
        in_use: bool | None = None,
        minute_of_day: Callable[[int], int] = _minute_of_day,
    ) -> None:
        """Read under ``root``; local time comes from ``minute_of_day`` (milliseconds to minutes after midnight)."""
        self._root = root
        self._metered = metered
        self._in_use = in_use
        self._minute = minute_of_day

    def read(self, now: int) -> Reading:
        """See :class:`~vcompute.policy.device.state.Driver`."""
        charging, battery = self._power()
        return Reading(
            charging=charging,
            battery=battery,
            thermal=self._thermal(),
            online=self._online(),
            metered=self._metered,
            in_use=self._in_use,
            minute=self._minute(now),
            cores=min(os.cpu_count() or 1, 1024),
            memory=self._memory(),
        )

    def _power(self) -> tuple[bool | None, int | None]:
        """Whether power is connected, and the lowest battery's level; a machine of mains alone is full."""
        mains: list[bool] = []
        levels: list[int] = []
        charging: list[bool] = []
        for supply in _children(self._root / "sys/class/power_supply"):
            kind = _text(supply / "type")
            if kind == "Battery" and _text(supply / "scope") != "Device":
                level = _number(supply / "capacity")
                if level is not None and 0 <= level <= 100:
                    levels.append(level)
                status = _text(supply / "status")
                if status in ("Charging", "Full", "Discharging", "Not charging"):
                    charging.append(status in ("Charging", "Full"))
            elif kind is not None and kind != "Battery" and (online := _number(supply / "online")) is not None:
                mains.append(online > 0)
        connected = any(mains) if mains else all(charging) if charging else None
        if not levels and mains and not charging:
            return connected, 100
        return connected, min(levels, default=None)

    def _thermal(self) -> ThermalStatus | None:
        """The worst status over the zones, from their trip points."""
        worst: ThermalStatus | None = None
        for zone in _children(self._root / "sys/class/thermal"):
            temperature = _number(zone / "temp")
            if not zone.name.startswith("thermal_zone") or temperature is None:
                continue
            status = ThermalStatus.NONE
            for trip in zone.glob("trip_point_*_type"):
                bound = _number(trip.with_name(trip.name.replace("_type", "_temp")))
                reached = _TRIPS.get(_text(trip) or "")
                if bound is not None and bound > 0 and reached is not None and temperature >= bound:
                    status = max(status, reached)
            worst = status if worst is None else max(worst, status)
        return worst

    def _online(self) -> bool | None:
        states = [
            _text(interface / "operstate")
            for interface in _children(self._root / "sys/class/net")
            if interface.name != "lo"
        ]
        if "up" in states:
            return True
        return None if not states or "unknown" in states or None in states else False

    def _memory(self) -> int | None:
        for line in (_text(self._root / "proc/meminfo") or "").splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable" and value.split()[1:] == ["kB"] and value.split()[0].isdecimal():
                return min(int(value.split()[0]) * 1024, 2**50)
        return None


def _children(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    if text is None or len(text) > 18 or not text.removeprefix("-").isdecimal():
        return None
    return int(text)
