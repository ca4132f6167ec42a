# SPDX-License-Identifier: Apache-2.0
"""L5: hostile peers with named faults, against each role; those of one role have a file of their own."""

from collections.abc import Iterator

from vcompute.conformance.case import Case, Level
from vcompute.conformance.scenarios.hostile_assignments import WORKER
from vcompute.conformance.scenarios.hostile_clients import COORDINATOR
from vcompute.conformance.scenarios.hostile_evidence import VERIFIER
from vcompute.conformance.scenarios.hostile_greetings import GREETINGS, garbage, greeting
from vcompute.conformance.scenarios.hostile_receipts import RECEIPTS, receipt_at
from vcompute.conformance.scenarios.hostile_reports import REQUESTER


def _requirement(role: str, name: str) -> str:
    """The requirement that a fault breaks."""
    if name.removeprefix("receipt-") in RECEIPTS and role in ("worker", "requester"):
        return "VC-SET-010"
    if "hello" in name or name == "grease":
        return "VC-SES-008"
    if name.endswith("by-stranger") and role != "coordinator":
        return "VC-SES-009"
    return "VC-SES-010" if name.startswith(("paid-", "forged-result")) else "VC-SES-007"


def cases() -> Iterator[Case]:
    """Every named fault."""
    groups = {"worker": WORKER, "requester": REQUESTER, "verifier": VERIFIER, "coordinator": COORDINATOR}
    for role, faults in groups.items():
        rows = dict(faults)
        rows["garbage"] = (garbage(role), "bytes that are no message")
        if role != "coordinator":
            rows |= {
                f"hello-{name}": (greeting(role, code, change), text)
                for name, (code, change, text) in GREETINGS.items()
            }
        if role in ("worker", "requester"):
            rows |= {f"receipt-{name}": (receipt_at(role, name), row[-1]) for name, row in RECEIPTS.items()}
        for name, (script, text) in rows.items():
            yield Case(
                id=f"adversary/{role}/{name}",
                level=Level.L5,
                requirements=(_requirement(role, name),),
                script=script,
                roles=(role,),
                flags=("negative",),
                text=f"{text[0].upper()}{text[1:]}.",
            )
