# SPDX-License-Identifier: Apache-2.0
"""When a device works: its owner's declarative policy, what it says of itself, and the governor between them."""

from vcompute.policy.device.conditions import DevicePolicy, Hours, reasons_to_rest, reasons_to_stop
from vcompute.policy.device.governor import Governor, Mode
from vcompute.policy.device.state import Driver, Reading

__all__ = [
    "DevicePolicy",
    "Driver",
    "Governor",
    "Hours",
    "Mode",
    "Reading",
    "reasons_to_rest",
    "reasons_to_stop",
]
