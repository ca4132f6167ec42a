# SPDX-License-Identifier: Apache-2.0
"""Sessions: sans-IO state machines of requester, worker, coordinator and verifier. Events in, actions out, time as an
argument; what they do in each state is a table of data."""

from vcompute.session.actions import (
    Abort,
    Action,
    Call,
    Closed,
    Job,
    Judge,
    Operation,
    Prove,
    Publish,
    Record,
    Run,
    Save,
    Seal,
    Send,
    Stage,
)
from vcompute.session.coordinator import CoordinatorSession
from vcompute.session.handshake import ClientHandshake
from vcompute.session.requester import RequesterSession
from vcompute.session.verifier import VerifierSession
from vcompute.session.worker import WorkerSession

__all__ = [
    "Abort",
    "Action",
    "Call",
    "ClientHandshake",
    "Closed",
    "CoordinatorSession",
    "Job",
    "Judge",
    "Operation",
    "Prove",
    "Publish",
    "Record",
    "RequesterSession",
    "Run",
    "Save",
    "Seal",
    "Send",
    "Stage",
    "VerifierSession",
    "WorkerSession",
]
