# SPDX-License-Identifier: Apache-2.0
"""VC-DEV: devices work when their owner's policy says so, and stop in bounded time."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vcompute.codec import decode, encode
from vcompute.errors import EncodingError, ProtocolError, UsageError, VcomputeError
from vcompute.policy.device import DevicePolicy, Governor, Hours, Mode, Reading, reasons_to_rest, reasons_to_stop
from vcompute.policy.device.sysfs import SysfsDriver
from vcompute.policy.device.trace import TraceDriver, load_trace, parse_trace
from vcompute.registry import ErrorCode, ThermalStatus, YieldReason

POLICY = DevicePolicy(
    charging=True,
    battery_begin=50,
    battery_stop=30,
    thermal_begin=ThermalStatus.LIGHT,
    thermal_stop=ThermalStatus.SEVERE,
    metered=False,
    in_use=False,
    hours=(Hours(22 * 60, 7 * 60),),
    cores=4,
    memory=1 << 30,
    settle=1000,
    grace=3000,
    poll=500,
    stop_within=200,
)
GOOD = Reading(
    charging=True,
    battery=80,
    thermal=ThermalStatus.NONE,
    online=True,
    metered=False,
    in_use=False,
    minute=23 * 60,
    cores=8,
    memory=4 << 30,
)


def working(policy: DevicePolicy = POLICY) -> tuple[Governor, int]:
    governor = Governor(policy)
    for now in range(0, 1500, 500):
        governor.observe(GOOD, now)
    assert governor.mode is Mode.WORKING
    return governor, 1000


BAD = [
    (replace(GOOD, charging=False), YieldReason.BATTERY),
    (replace(GOOD, battery=29), YieldReason.BATTERY),
    (replace(GOOD, thermal=ThermalStatus.SEVERE), YieldReason.THERMAL),
    (replace(GOOD, online=False), YieldReason.NETWORK),
    (replace(GOOD, metered=True), YieldReason.NETWORK),
    (replace(GOOD, in_use=True), YieldReason.USER),
    (replace(GOOD, minute=12 * 60), YieldReason.USER),
]


@pytest.mark.parametrize(("reading", "reason"), BAD, ids=lambda value: "")
def test_each_condition_stops_work(reading: Reading, reason: YieldReason) -> None:
    """VC-DEV-001: work stops for each condition of the policy, with its reason; VC-DEV-005: within the bound."""
    governor, now = working()
    assert governor.observe(reading, now + 400) is Mode.STOPPING
    assert governor.reason is reason
    assert governor.stop_by == now + 600
    assert not governor.overdue(now + 599)
    assert governor.overdue(now + 600)
    assert governor.observe(GOOD, now + 450) is Mode.STOPPING
    governor.stopped()
    assert governor.mode is Mode.RESTING
    assert not governor.overdue(now + 10_000)


def test_hysteresis_in_level() -> None:
    """VC-DEV-002: between the two thresholds work neither begins nor stops."""
    between = replace(GOOD, battery=40, thermal=ThermalStatus.MODERATE)
    governor, now = working()
    for step in range(1, 20):
        assert governor.observe(between, now + 500 * step) is Mode.WORKING
    fresh = Governor(POLICY)
    for step in range(20):
        assert fresh.observe(between, 500 * step) is Mode.RESTING


def test_hysteresis_in_time() -> None:
    """VC-DEV-003: the conditions hold for the settling time, without a gap in the readings, before work begins."""
    governor = Governor(POLICY)
    assert [governor.observe(GOOD, now) for now in (0, 500, 999)] == [Mode.SETTLING] * 3
    assert governor.observe(replace(GOOD, battery=49), 1000) is Mode.RESTING
    assert [governor.observe(GOOD, now) for now in (1400, 1900, 2399, 2400)] == [Mode.SETTLING] * 3 + [Mode.WORKING]
    gap = Governor(POLICY)
    assert [gap.observe(GOOD, now) for now in (0, 5000, 5500, 6000)] == [Mode.SETTLING] * 3 + [Mode.WORKING]


UNKNOWABLE = ["charging", "battery", "thermal", "online", "metered", "in_use", "minute"]


@pytest.mark.parametrize("name", UNKNOWABLE)
def test_unknown_is_neither_yes_nor_no(name: str) -> None:
    """VC-DEV-004: an unknown value that a condition needs begins no work, and ends it after the grace alone."""
    unknown = replace(GOOD, **{name: None})
    fresh = Governor(POLICY)
    for step in range(20):
        assert fresh.observe(unknown, 500 * step) is Mode.RESTING
    assert fresh.reason is YieldReason.UNKNOWN
    governor, now = working()
    for step in range(1, 7):
        assert governor.observe(unknown, now + 500 * step) is Mode.WORKING
    assert governor.observe(unknown, now + 3500) is Mode.STOPPING
    assert governor.reason is YieldReason.UNKNOWN
    governor, now = working()
    for step in range(1, 40):
        governor.observe(unknown if step % 3 else GOOD, now + 500 * step)
    assert governor.mode is Mode.WORKING


def test_values_no_condition_needs_may_be_unknown() -> None:
    """VC-DEV-004: a policy that does not ask for a value does not wait for it."""
    lax = replace(POLICY, charging=False, battery_begin=0, battery_stop=0, metered=True, in_use=True, hours=())
    reading = Reading(thermal=ThermalStatus.NONE, online=True)
    assert reasons_to_rest(lax, reading) == reasons_to_stop(lax, reading) == []


def test_a_gap_in_readings_counts_as_unknown() -> None:
    """VC-DEV-004: time without a reading is time in which nothing was known."""
    governor, now = working()
    unknown = replace(GOOD, battery=None)
    assert governor.observe(unknown, now + 4000) is Mode.STOPPING
    governor, now = working()
    assert governor.observe(GOOD, now + 4000) is Mode.WORKING


def test_user_comes_first() -> None:
    """VC-DEV-006: the user's wish ends work at once, in any mode."""
    governor, now = working()
    governor.user_wants_device(now + 10)
    assert (governor.mode, governor.stop_by) == (Mode.STOPPING, now + 210)
    governor.user_wants_device(now + 100)
    assert governor.stop_by == now + 210
    resting = Governor(POLICY)
    resting.user_wants_device(0)
    assert (resting.mode, resting.reason) == (Mode.RESTING, YieldReason.USER)


def test_thresholds_need_hysteresis() -> None:
    """VC-DEV-002: thresholds the wrong way round are refused."""
    for policy in (replace(POLICY, battery_stop=51), replace(POLICY, thermal_stop=ThermalStatus.LIGHT)):
        with pytest.raises(ProtocolError) as caught:
            Governor(policy)
        assert caught.value.code is ErrorCode.VALUE_OUT_OF_RANGE


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [
        (Hours(60, 120), [60, 119], [59, 120]),
        (Hours(1320, 420), [1320, 0, 419], [420, 1319]),
        (Hours(5, 5), [0, 5], []),
    ],
)
def test_hours(span: Hours, inside: list[int], outside: list[int]) -> None:
    """VC-DEV-001: hours wrap at midnight; equal ends are the whole day."""
    assert all(span.holds(minute) for minute in inside)
    assert not any(span.holds(minute) for minute in outside)


def test_capacity() -> None:
    """VC-DEV-007: cores and memory bound the tasks at once; unknown memory is no capacity."""
    assert POLICY.capacity(GOOD, 1 << 28) == 4
    assert POLICY.capacity(GOOD, 1 << 29) == 2
    assert POLICY.capacity(replace(GOOD, memory=1 << 29), 1 << 29) == 1
    assert POLICY.capacity(replace(GOOD, memory=None), 1) == 0


readings = st.builds(
    Reading,
    charging=st.sampled_from([True, False, None]),
    battery=st.none() | st.integers(0, 100),
    thermal=st.sampled_from([None, *ThermalStatus]),
    online=st.sampled_from([True, True, False, None]),
    metered=st.sampled_from([False, False, True, None]),
    in_use=st.sampled_from([False, False, True, None]),
    minute=st.none() | st.integers(0, 1439),
)


class Device(RuleBasedStateMachine):
    """A governor under any readings, late or not, against what the policy promises."""

    def __init__(self) -> None:
        super().__init__()
        self.governor = Governor(POLICY)
        self.now = 0
        self.good_since: int | None = None
        self.last = 0

    @rule(reading=st.one_of(readings, st.just(GOOD), st.just(GOOD)), wait=st.integers(1, 900))
    def observe(self, reading: Reading, wait: int) -> None:
        before, self.now = self.governor.mode, self.now + wait
        gap = wait > POLICY.poll
        if reasons_to_rest(POLICY, reading) or gap or self.good_since is None:
            self.good_since = None if reasons_to_rest(POLICY, reading) else self.now
        mode = self.governor.observe(reading, self.now)
        failed = any(holds is False for holds, _ in reasons_to_stop(POLICY, reading))
        if mode is Mode.WORKING:
            assert not failed
            if before is not Mode.WORKING:
                assert self.good_since is not None
                assert self.now - self.good_since >= POLICY.settle
        if before is Mode.WORKING and failed:
            assert mode is Mode.STOPPING
            assert self.governor.stop_by == self.now + POLICY.stop_within

    @rule()
    def stopped(self) -> None:
        if self.governor.mode is Mode.STOPPING:
            self.good_since = None
        self.governor.stopped()

    @invariant()
    def bounded(self) -> None:
        assert (self.governor.stop_by is not None) == (self.governor.mode is Mode.STOPPING)


TestDevice = Device.TestCase
TestDevice.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


@given(raw=st.binary(max_size=120), cls=st.sampled_from([DevicePolicy, Reading]))
@settings(max_examples=200, deadline=None)
def test_decoders(raw: bytes, cls: type) -> None:
    """VC-DEV-008: any bytes round-trip or are refused with a typed error."""
    assert decode(type(POLICY), encode(POLICY)) == POLICY
    try:
        assert encode(decode(cls, raw)) == raw
    except EncodingError:
        return


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


PHONE = {
    "sys/class/power_supply/battery/type": "Battery",
    "sys/class/power_supply/battery/capacity": "73",
    "sys/class/power_supply/battery/status": "Charging",
    "sys/class/power_supply/usb/type": "USB",
    "sys/class/power_supply/usb/online": "1",
    "sys/class/power_supply/mouse/type": "Battery",
    "sys/class/power_supply/mouse/scope": "Device",
    "sys/class/power_supply/mouse/capacity": "3",
    "sys/class/thermal/thermal_zone0/temp": "61000",
    "sys/class/thermal/thermal_zone0/trip_point_0_type": "passive",
    "sys/class/thermal/thermal_zone0/trip_point_0_temp": "60000",
    "sys/class/thermal/thermal_zone0/trip_point_1_type": "critical",
    "sys/class/thermal/thermal_zone0/trip_point_1_temp": "90000",
    "sys/class/thermal/cooling_device0/temp": "99000",
    "sys/class/net/lo/operstate": "unknown",
    "sys/class/net/wlan0/operstate": "up",
    "proc/meminfo": "MemTotal: 8 kB\nMemAvailable:    2048 kB",
}


def sysfs(root: Path) -> Reading:
    return SysfsDriver(root, metered=False, minute_of_day=lambda now: 5).read(0)


def test_sysfs_phone(tmp_path: Path) -> None:
    """VC-DEV-009: a battery device on power, warm, on a network."""
    reading = sysfs(tree(tmp_path, PHONE))
    assert (reading.charging, reading.battery, reading.online) == (True, 73, True)
    assert reading.thermal is ThermalStatus.MODERATE
    assert reading.memory == 2048 * 1024
    assert (reading.metered, reading.in_use, reading.minute) == (False, None, 5)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sys/class/power_supply/usb/online": "0"}, {"charging": False}),
        ({"sys/class/power_supply/battery/capacity": "many"}, {"battery": None}),
        ({"sys/class/power_supply/battery/capacity": "101"}, {"battery": None}),
        ({"sys/class/thermal/thermal_zone0/temp": "95000"}, {"thermal": ThermalStatus.CRITICAL}),
        ({"sys/class/thermal/thermal_zone0/temp": "20000"}, {"thermal": ThermalStatus.NONE}),
        ({"sys/class/thermal/thermal_zone0/temp": "9" * 30}, {"thermal": None}),
        ({"sys/class/net/wlan0/operstate": "down"}, {"online": False}),
        ({"sys/class/net/wlan0/operstate": "unknown"}, {"online": None}),
        ({"proc/meminfo": "MemAvailable: kB"}, {"memory": None}),
    ],
)
def test_sysfs_variants(tmp_path: Path, files: dict[str, str], expected: dict[str, object]) -> None:
    """VC-DEV-009: what is not there, or not what it should be, is unknown and never zero."""
    reading = sysfs(tree(tmp_path, PHONE | files))
    for name, value in expected.items():
        assert getattr(reading, name) == value


def test_sysfs_of_nothing(tmp_path: Path) -> None:
    """VC-DEV-009: a machine that says nothing is unknown; mains alone is a full battery."""
    reading = sysfs(tmp_path)
    assert (reading.charging, reading.battery, reading.thermal, reading.online, reading.memory) == (None,) * 5
    mains = {"sys/class/power_supply/ac/type": "Mains", "sys/class/power_supply/ac/online": "1"}
    assert (sysfs(tree(tmp_path, mains)).charging, sysfs(tmp_path).battery) == (True, 100)
    real = SysfsDriver().read(1_700_000_000_000)
    assert encode(real)


def test_trace(tmp_path: Path) -> None:
    """VC-DEV-010: a line holds until the next; before the first nothing is known; a trace may repeat."""
    path = tmp_path / "trace.jsonl"
    path.write_text('{"at": 10, "battery": 80, "thermal": "light"}\n\n{"at": 20, "charging": true}\n')
    driver = load_trace(path, repeat=100)
    assert driver.read(15) == Reading(battery=80, thermal=ThermalStatus.LIGHT)
    assert driver.read(20) == driver.read(99) == Reading(charging=True)
    assert driver.read(115).battery == 80
    assert TraceDriver(parse_trace(['{"at": 10}'])).read(9) == Reading()
    with pytest.raises(UsageError):
        load_trace(tmp_path / "none")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "[" * 3000,
        '{"at": -1}',
        '{"at": true}',
        '{"at": 1.0}',
        '{"battery": 1}',
        '{"at": 1, "battery": 101}',
        '{"at": 1, "battery": true}',
        '{"at": 1, "battery": 5.0}',
        '{"at": 1, "charging": 1}',
        '{"at": 1, "thermal": "warm"}',
        '{"at": 1, "thermal": []}',
        '{"at": 1, "other": 1}',
        '{"at": 1}\n{"at": 1}',
        '{"at": ' + "1" * 5000 + "}",
    ],
)
def test_bad_traces(line: str) -> None:
    """VC-DEV-010: a line that is not a reading is refused with its number."""
    with pytest.raises(EncodingError):
        TraceDriver(parse_trace(line.split("\n")))


@given(line=st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_trace_parser_raises_typed_errors_alone(line: str) -> None:
    """VC-DEV-010: any text."""
    try:
        parse_trace([line])
    except VcomputeError:
        return
