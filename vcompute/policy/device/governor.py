# SPDX-License-Identifier: Apache-2.0
"""The governor: readings in, a mode out, with hysteresis in level and in time and a bound on stopping.

Sans-IO: the caller reads the driver at least every ``policy.poll`` and reports when work has stopped. From the moment a
condition fails to the moment nothing runs at most ``poll + stop_within`` passes, and ``grace`` more where a value only
became unknown.
"""

from enum import Enum, unique

from vcompute.policy.device.conditions import DevicePolicy, reasons_to_rest, reasons_to_stop
from vcompute.policy.device.state import Reading
from vcompute.registry import YieldReason


@unique
class Mode(Enum):
    """What a device does."""

    RESTING = "takes no tasks"
    SETTLING = "the conditions hold, not yet for long enough"
    WORKING = "takes tasks"
    STOPPING = "gives its leases back and stops in time"


class Governor:
    """One device under one policy."""

    def __init__(self, policy: DevicePolicy) -> None:
        """Begin at rest.

        Raises:
            ProtocolError: ``value_out_of_range``: the policy has no hysteresis.
        """
        policy.check()
        self.policy = policy
        self.mode = Mode.RESTING
        self.reason: YieldReason | None = None
        """Why it rests or stops."""
        self.stop_by: int | None = None
        """While stopping: when nothing may run any more, milliseconds."""
        self._since = 0
        self._unknown_since: int | None = None
        self._last: int | None = None

    def observe(self, reading: Reading, now: int) -> Mode:
        """Take a reading at ``now`` (milliseconds) into account.

        A gap longer than the poll interval is itself a time in which nothing was known.
        """
        gap = self._last is not None and now - self._last > self.policy.poll
        match self.mode:
            case Mode.WORKING:
                self._while_working(reading, now, self._last if gap else None)
            case Mode.STOPPING:
                pass
            case _:
                self._while_resting(reading, now, gap)
        self._last = now
        return self.mode

    def stopped(self) -> None:
        """The caller reports that nothing runs any more."""
        if self.mode is Mode.STOPPING:
            self.mode, self.stop_by = Mode.RESTING, None

    def overdue(self, now: int) -> bool:
        """Whether work must be ended by force: the bound on stopping has passed."""
        return self.stop_by is not None and now >= self.stop_by

    def user_wants_device(self, now: int) -> None:
        """The user, or the operating system in the user's name, ends work at once."""
        if self.mode is Mode.WORKING:
            self._stop(YieldReason.USER, now)
        elif self.mode is not Mode.STOPPING:
            self.mode, self.reason = Mode.RESTING, YieldReason.USER

    def _while_resting(self, reading: Reading, now: int, gap: bool) -> None:
        against = reasons_to_rest(self.policy, reading)
        if against:
            self.mode = Mode.RESTING
            self.reason = next((reason for holds, reason in against if holds is False), YieldReason.UNKNOWN)
            return
        if self.mode is Mode.RESTING or gap:
            self.mode, self._since = Mode.SETTLING, now
        if now - self._since >= self.policy.settle:
            self.mode, self.reason, self._unknown_since = Mode.WORKING, None, None

    def _while_working(self, reading: Reading, now: int, unread_since: int | None) -> None:
        against = reasons_to_stop(self.policy, reading)
        failed = next((reason for holds, reason in against if holds is False), None)
        if failed is not None:
            self._stop(failed, now)
            return
        if not against:
            self._unknown_since = None
            return
        if self._unknown_since is None:
            self._unknown_since = now if unread_since is None else unread_since
        if now - self._unknown_since >= self.policy.grace:
            self._stop(YieldReason.UNKNOWN, now)

    def _stop(self, reason: YieldReason, now: int) -> None:
        self.mode, self.reason, self.stop_by = Mode.STOPPING, reason, now + self.policy.stop_within
