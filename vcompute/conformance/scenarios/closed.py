# SPDX-License-Identifier: Apache-2.0
"""L3: what a client says about a task that is over, after many others and a restart."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from vcompute.conformance.case import Case, Level
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.kit import Remote, expect, expect_state
from vcompute.conformance.testee import Testee
from vcompute.messages import Cancel, Check, Decline, Hello, seal
from vcompute.registry import ErrorCode, Outcome
from vcompute.session.handshake import answer

KEPT: Final = 256
"""Later tasks of which each is over, and the first one's record is still kept."""


def _memo(number: int) -> bytes:
    return b"task %d" % number


def _restart(remote: Remote) -> None:
    hello = remote.restart().message("hello").of(Hello)
    remote.receive(seal(kit.COORDINATOR, answer(hello, bytes(16), kit.SETTLEMENT.thumbprint)))


def _worker(testee: Testee) -> None:
    remote, first = Remote(testee, "worker", kit.WORKER), kit.offer()
    remote.greet()
    remote.receive(kit.assign(first))
    said = remote.tell("stop").message("yield").data
    for number in range(KEPT):
        step = remote.receive(kit.assign(kit.offer(memo=_memo(number)), escrow=kit.TERMS.price - 1))
        expect("it declines", ["send:decline"], step.kinds)
    _restart(remote)
    expect("the same bytes", said.hex(), remote.receive(kit.assign(first)).message("yield").data.hex())
    expect_state(remote, first.digest, "released")


def _verifier(testee: Testee) -> None:
    remote = Remote(testee, "verifier", kit.VERIFIER)
    remote.greet()

    def check(task: Any) -> tuple[bytes, bytes]:
        lease = kit.accept(task)
        return lease.digest, seal(kit.COORDINATOR, Check(task.data, lease.data, kit.result(lease).data)).data

    first, evidence = check(kit.offer())
    remote.receive(evidence)
    said = remote.tell("judged", lease=first, error=None).message("verdict").data
    remote.receive(seal(kit.COORDINATOR, Cancel(kit.offer().digest, ErrorCode.CANCELLED, first)))
    for number in range(KEPT):
        task = kit.offer(memo=_memo(number))
        lease, other = check(task)
        remote.receive(other)
        step = remote.receive(seal(kit.COORDINATOR, Cancel(task.digest, ErrorCode.CANCELLED, lease)))
        expect("it is over", ["closed"], step.kinds)
    _restart(remote)
    expect("the same bytes", said.hex(), remote.receive(evidence).message("verdict").data.hex())
    expect_state(remote, first, "closed")


def _requester(testee: Testee) -> None:
    remote, first = Remote(testee, "requester", kit.REQUESTER), kit.offer()
    remote.greet()
    remote.tell("offer", message=first.data)
    lease = kit.accept(first)
    parts: dict[str, Any] = {"lease": lease.digest, "worker": kit.WORKER.thumbprint, "result": kit.result(lease).data}
    remote.receive(kit.receipt(first, Outcome.PAID, **parts))
    remote.tell("fetched", task=first.digest)
    for number in range(KEPT):
        task = kit.offer(memo=_memo(number))
        remote.tell("offer", message=task.data)
        step = remote.receive(seal(kit.COORDINATOR, Decline(task.digest, 0, ErrorCode.INSUFFICIENT_FUNDS)))
        expect("it is over", ["closed"], step.kinds)
    _restart(remote)
    expect_state(remote, first.digest, "done")
    expect("an offer of a paid task is not made again", [], remote.tell("offer", message=first.data).kinds)
    expect_state(remote, first.digest, "done")


ROLES: Final[Mapping[str, Callable[[Testee], None]]] = {
    "worker": _worker,
    "requester": _requester,
    "verifier": _verifier,
}


def cases() -> Iterator[Case]:
    """A case for each client role."""
    for role, script in ROLES.items():
        yield Case(
            id=f"machine/{role}/closed-long-ago",
            level=Level.L3,
            requirements=("VC-SES-020",),
            script=script,
            roles=(role,),
            text=f"A {role} asked about a task that was over {KEPT} tasks and a restart ago.",
        )
