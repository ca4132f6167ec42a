# SPDX-License-Identifier: Apache-2.0
"""The owner's device policy as a TOML file.

    charging = true
    battery_begin = 60
    battery_stop = 40
    thermal_begin = "light"
    thermal_stop = "moderate"
    hours = ["22:00-06:30"]

Every key is a field of :class:`vcompute.policy.device.DevicePolicy`; what is left out has the default below.
"""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vcompute.errors import UsageError
from vcompute.registry import ErrorCode

if TYPE_CHECKING:
    from vcompute.policy.device import DevicePolicy, Driver, Hours

DEFAULTS: Final[dict[str, Any]] = {
    "charging": True,
    "battery_begin": 60,
    "battery_stop": 40,
    "thermal_begin": "light",
    "thermal_stop": "moderate",
    "metered": False,
    "in_use": True,
    "hours": [],
    "cores": 4,
    "memory": 1 << 30,
    "settle": 10_000,
    "grace": 30_000,
    "poll": 5_000,
    "stop_within": 5_000,
}


def read_policy(path: Path) -> "DevicePolicy":
    """A policy from a file.

    Raises:
        UsageError: not TOML, an unknown key or a value out of range.
    """
    from vcompute.codec import decode, encode
    from vcompute.errors import VcomputeError
    from vcompute.policy.device import DevicePolicy
    from vcompute.registry import ThermalStatus

    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the policy {path}: {error}", code=ErrorCode.UNREADABLE_FILE) from error
    unknown = sorted(given.keys() - DEFAULTS.keys())
    if unknown:
        raise UsageError(f"{path}: unknown keys", expected=", ".join(DEFAULTS), got=", ".join(unknown))
    values = {**DEFAULTS, **given}
    for name in ("thermal_begin", "thermal_stop"):
        status = str(values[name]).upper()
        if status not in ThermalStatus.__members__:
            names = ", ".join(member.name.lower() for member in ThermalStatus)
            raise UsageError(f"{path}: {name}", expected=names, got=values[name])
        values[name] = ThermalStatus[status]
    values["hours"] = tuple(_hours(path, text) for text in values["hours"])
    try:
        policy = DevicePolicy(**values)
        policy.check()
        return decode(DevicePolicy, encode(policy))
    except VcomputeError as error:
        raise UsageError(f"{path}: {error}") from error


def _hours(path: Path, text: object) -> "Hours":
    from vcompute.policy.device import Hours

    ends = [_minute(part) for part in str(text).split("-")]
    if len(ends) != 2 or None in ends:
        raise UsageError(f"{path}: hours", expected="a span like 22:00-06:30", got=text)
    return Hours(ends[0] or 0, ends[1] or 0)


def _minute(text: str) -> int | None:
    hour, colon, minute = text.strip().partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and int(hour) < 24 and int(minute) < 60):
        return None
    return int(hour) * 60 + int(minute)


def device_of(policy: Path | None, trace: Path | None, metered: bool) -> "tuple[Driver, DevicePolicy] | None":
    """The driver and policy that the options name.

    Raises:
        UsageError: a trace without a policy, or a file is not what it should be.
    """
    if policy is None:
        if trace is not None:
            raise UsageError("a trace needs a device policy to be judged by")
        return None
    from vcompute.policy.device.sysfs import SysfsDriver
    from vcompute.policy.device.trace import load_trace

    driver: Driver = load_trace(trace) if trace is not None else SysfsDriver(metered=metered, in_use=False)
    return driver, read_policy(policy)
