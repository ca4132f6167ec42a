# SPDX-License-Identifier: Apache-2.0
"""Write ``spec/cddl/*.cddl`` from the schemas: ``generate_cddl.py [--check]``."""

import sys
from pathlib import Path
from typing import Any, Final

from vcompute.blobs import Chunk
from vcompute.codec import Variant, cddl
from vcompute.identity.attestation import AttesterToken
from vcompute.identity.confidential import EncryptionKey, SealedInput, TaskConfiguration
from vcompute.identity.cose import MAX_PAYLOAD
from vcompute.identity.keys import COSE_KEY_SIZE
from vcompute.identity.lifecycle import Enrolment, Evidence, Revocation, Rotation, Successor
from vcompute.identity.quorum import QuorumCertificate, VerifierSet
from vcompute.messages.envelope import BODY
from vcompute.proof.statement import StatementRecord
from vcompute.proof.succinct.commitment import CommitmentRecord
from vcompute.proof.suite import ProofEnvelope
from vcompute.settlement.journal import Entry
from vcompute.task.batch import BatchRecord
from vcompute.task.model import ModelFile
from vcompute.transport.http_common import Wanted

TARGET: Final = Path(__file__).resolve().parent.parent / "spec" / "cddl"
HEADER: Final = "; {title}. Generated from the schemas by `make generate`; do not edit.\n"
ENVELOPE: Final = f"""
; A message as it travels: COSE_Sign1 (RFC 9052), ES256, low s, external_aad 'vcompute/1'.
signed-message = #6.18([
  bstr .size {COSE_KEY_SIZE + 8}, ; the protected header: {{1: -7, 14: {{8: {{1: COSE_Key}}}}}}
  {{}}, ; the unprotected header is empty
  bstr .size (1..{MAX_PAYLOAD}), ; the payload: message-choice in deterministic CBOR
  bstr .size 64, ; r and s
])

"""

FILES: Final[dict[str, tuple[str, str, tuple[type[Any] | Variant, ...]]]] = {
    "messages": ("Messages of the protocol", ENVELOPE, (BODY,)),
    "keys": (
        "The life of keys: payloads of COSE_Sign1",
        "\n",
        (Enrolment, Rotation, Successor, Revocation, Evidence, AttesterToken),
    ),
    "inputs": ("Confidential inputs", "\n", (EncryptionKey, TaskConfiguration, SealedInput)),
    "quorums": ("Verifier sets and their certificates", "\n", (VerifierSet, QuorumCertificate)),
    "task": ("Model files and batches", "\n", (ModelFile, BatchRecord)),
    "proof": ("Statements and proof files", "\n", (ProofEnvelope, StatementRecord)),
    "commitment": ("Commitments to models", "\n", (CommitmentRecord,)),
    "blobs": ("Chunks in transfer", "\n", (Chunk, Wanted)),
    "settlement": ("The journal of a ledger", "\n", (Entry,)),
}


def texts() -> dict[Path, str]:
    """Every file and what it holds."""
    return {
        TARGET / f"{name}.cddl": HEADER.format(title=title) + opening + cddl(*roots)
        for name, (title, opening, roots) in FILES.items()
    }


def main(argv: list[str]) -> int:
    TARGET.mkdir(parents=True, exist_ok=True)
    stale = 0
    for path, text in texts().items():
        if "--check" not in argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"spec/cddl/{path.name} is stale: run 'make generate'", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
