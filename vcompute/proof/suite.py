# SPDX-License-Identifier: Apache-2.0
"""The interface of a verification suite, the proof envelope and the verifier's policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Final, Protocol

from vcompute.codec import Bytes, Enum, Int, Limits, Text, decode, encode, field
from vcompute.errors import EncodingError, Rejected
from vcompute.proof.statement import Statement
from vcompute.registry import PARAMETER_SETS, ErrorCode, ParameterSetId, SuiteId
from vcompute.task import Batch, Model

PROOF_KIND: Final = "vcompute-proof"
PROOF_VERSION: Final = 1
MAX_PROOF: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class ProofEnvelope:
    """A proof of any suite: what it is, what it is about, and the suite's own bytes."""

    kind: str = field(0, Text(32), "the text 'vcompute-proof'")
    version: int = field(1, Int(PROOF_VERSION, PROOF_VERSION), "version of the envelope")
    suite: SuiteId = field(2, Enum(SuiteId), "suite")
    parameter_set: ParameterSetId = field(3, Enum(ParameterSetId), "parameter set")
    statement: bytes = field(4, Bytes(32, 32), "digest of the statement")
    body: bytes = field(5, Bytes(0, MAX_PROOF), "the suite's proof")


@dataclass(frozen=True, slots=True)
class Security:
    """Security of one accepted statement, in bits; None where a suite is exact and has no error."""

    bits: float | None = None
    union_bits: float | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a verifier accepted, and how sure it may be."""

    suite: SuiteId
    parameter_set: ParameterSetId
    security: Security
    report: Mapping[str, int | float | str] = dataclass_field(default_factory=dict)


class Suite(Protocol):
    """A verification suite. Implementations are stateless; randomness and threads are arguments."""

    @property
    def id(self) -> SuiteId:
        """Registered id."""

    @property
    def default_parameter_set(self) -> ParameterSetId:
        """What a prover uses unless told otherwise."""

    def prove(
        self, model: Model, inputs: Batch, context: bytes, parameter_set: ParameterSetId, threads: int
    ) -> tuple[Batch, bytes]:
        """Run the model and prove it: outputs and the proof's body.

        Raises:
            TaskError: the inputs are not the model's.
            Rejected: ``suite_unsupported_model`` or ``security_unreachable``, before any work.
        """

    def verify(self, statement: Statement, body: bytes, parameter_set: ParameterSetId, threads: int) -> Security:
        """Return where the proof convinces.

        The caller has checked the envelope, the policy and the statement's shapes.

        Raises:
            Rejected: with the registered code of the first check that fails.
        """


def _secure_sets() -> frozenset[ParameterSetId]:
    return frozenset(key for key, info in PARAMETER_SETS.items() if info.secure)


@dataclass(frozen=True, slots=True)
class Policy:
    """The verifier's own choice of what convinces it. By default every secure registered parameter set."""

    parameter_sets: frozenset[ParameterSetId] = dataclass_field(default_factory=_secure_sets)

    def admit(self, suite: SuiteId, parameter_set: ParameterSetId) -> None:
        """Refuse what the policy does not name.

        Raises:
            Rejected: ``suite_not_accepted``.
        """
        if parameter_set not in self.parameter_sets or PARAMETER_SETS[parameter_set].suite is not suite:
            raise Rejected(
                "the verifier's policy does not accept this suite with this parameter set",
                code=ErrorCode.SUITE_NOT_ACCEPTED,
                expected=sorted(PARAMETER_SETS[key].name for key in self.parameter_sets),
                got=f"{suite.name.lower()}/{PARAMETER_SETS[parameter_set].name}",
            )


def decode_envelope(proof: bytes) -> ProofEnvelope:
    """Read a proof's envelope.

    Raises:
        Rejected: ``proof_malformed``.
    """
    try:
        envelope = decode(ProofEnvelope, proof, Limits(bytes=MAX_PROOF + 256, depth=2, items=16))
    except EncodingError as error:
        raise Rejected(f"not a proof: {error.message}", code=ErrorCode.PROOF_MALFORMED) from error
    if envelope.kind != PROOF_KIND:
        raise Rejected("not a proof", code=ErrorCode.PROOF_MALFORMED, expected=PROOF_KIND, got=envelope.kind)
    return envelope


def encode_envelope(suite: SuiteId, parameter_set: ParameterSetId, statement: Statement, body: bytes) -> bytes:
    """The bytes of a proof."""
    return encode(ProofEnvelope(PROOF_KIND, PROOF_VERSION, suite, parameter_set, statement.digest, body))
