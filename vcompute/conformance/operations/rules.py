# SPDX-License-Identifier: Apache-2.0
"""Operations on policies: draws, bonds, standing, pacing, devices."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

from vcompute.codec import decode
from vcompute.conformance.wire import to_bytes, to_text
from vcompute.errors import UsageError
from vcompute.messages import Always, OnChallenge, Policy, Sampled, SuiteChoice
from vcompute.policy import standing
from vcompute.policy.deposit import Deterrence, deposit_for
from vcompute.policy.device import DevicePolicy, Governor, Reading
from vcompute.policy.pacing import back_off
from vcompute.policy.sampling import commitment, drawn

Request = Mapping[str, Any]


def _fraction(value: object) -> Fraction:
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError("a fraction is written n/d", got=str(value)[:40]) from error


def _policy(request: Request) -> Policy:
    suites = (SuiteChoice(1, 1),)
    match request["policy"]:
        case "always":
            return Always(suites)
        case "sampled":
            return Sampled(suites, rate=int(request["rate"]), reveal_within=1, stake=0)
        case "on_challenge":
            return OnChallenge(suites, window=1, answer_within=1, stake=0)
        case other:
            raise UsageError("a policy is always, sampled or on_challenge", got=other)


def sample_commitment(request: Request) -> Request:
    """``{result, party, nonce}`` -> ``{commitment}``."""
    parts = [to_bytes(request[name]) for name in ("result", "party", "nonce")]
    return {"commitment": to_text(commitment(*parts))}


def sample_draw(request: Request) -> Request:
    """``{result, nonces, rate}``, nonces as ``[party, nonce]`` -> ``{checked}``."""
    nonces = {to_bytes(party): to_bytes(nonce) for party, nonce in request["nonces"]}
    return {"checked": drawn(to_bytes(request["result"]), nonces, int(request["rate"]))}


def deposit_compute(request: Request) -> Request:
    """``{policy, rate?, price, conviction, watched, gain, check_cost, margin}`` -> ``{bond}``, amounts as text."""
    assumed = Deterrence(
        _fraction(request["conviction"]),
        _fraction(request["watched"]),
        int(request["gain"]),
        int(request["check_cost"]),
        _fraction(request["margin"]),
    )
    return {"bond": str(deposit_for(_policy(request), int(request["price"]), assumed))}


def standing_compute(request: Request) -> Request:
    """``{verified, rejected, capacity, floor}`` -> ``{quota, rate, ban}``."""
    verified, rejected = int(request["verified"]), int(request["rejected"])
    return {
        "quota": standing.quota(verified, rejected, int(request["capacity"])),
        "rate": standing.sampling_rate(int(request["floor"]), verified, rejected),
        "ban": standing.ban_after(rejected),
    }


def backoff_compute(request: Request) -> Request:
    """``{tries, retry_after, jitter}`` -> ``{wait}``."""
    after = request["retry_after"]
    return {"wait": back_off(int(request["tries"]), None if after is None else int(after), int(request["jitter"]))}


def device_run(request: Request) -> Request:
    """``{policy, readings}``, readings as ``[time, bytes]`` -> ``{modes, reason}``: the mode after each, the last
    reason."""
    governor = Governor(decode(DevicePolicy, to_bytes(request["policy"])))
    modes = [
        governor.observe(decode(Reading, to_bytes(data)), int(now)).name.lower() for now, data in request["readings"]
    ]
    return {"modes": modes, "reason": None if governor.reason is None else governor.reason.name.lower()}


OPERATIONS: Final[dict[str, Callable[[Request], Request]]] = {
    "sample.commitment": sample_commitment,
    "sample.draw": sample_draw,
    "deposit.compute": deposit_compute,
    "standing.compute": standing_compute,
    "backoff.compute": backoff_compute,
    "device.run": device_run,
}
