# SPDX-License-Identifier: Apache-2.0
"""The interface of a verification suite, the proof envelope and the verifier's policy."""

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Final, Protocol

from vcompute.codec import Bytes, Int, Limits, Text, Uint, decode, encode, field
from vcompute.errors import EncodingError, Rejected
from vcompute.proof.statement import Statement
from vcompute.registry import PARAMETER_SETS, ErrorCode, SuiteId
from vcompute.task import Batch, Graph, Model

PROOF_KIND: Final = "vcompute-proof"
PROOF_VERSION: Final = 1
MAX_PROOF: Final = 1 << 30
ENVELOPE_OVERHEAD: Final = 128
"""The most bytes an envelope has besides its body."""
ID: Final = Uint(16)


@dataclass(frozen=True, slots=True)
class ProofEnvelope:
    """A proof of any suite: what it is, what it is about, and the suite's own bytes."""

    kind: str = field(0, Text(32), "the text 'vcompute-proof'")
    version: int = field(1, Int(PROOF_VERSION, PROOF_VERSION), "version of the envelope")
    suite: int = field(2, ID, "suite")
    parameter_set: int = field(3, ID, "parameter set")
    statement: bytes = field(4, Bytes(32, 32), "digest of the statement")
    body: bytes = field(5, Bytes(0, MAX_PROOF), "the suite's proof")


@dataclass(frozen=True, slots=True)
class Security:
    """Security of one accepted statement, in bits; None where a suite is exact and has no error.

    ``bits`` counts the worst round, ``union_bits`` the union over all rounds.
    """

    bits: float | None = None
    union_bits: float | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a verifier accepted, and how sure it may be."""

    suite: str
    parameter_set: str
    security: Security


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """A parameter set of a suite. ``security_bits`` is the floor every accepted statement reaches."""

    id: int
    name: str
    security_bits: int
    secure: bool


def registered_sets(suite: SuiteId) -> tuple[ParameterSet, ...]:
    """The registered parameter sets of a suite."""
    return tuple(
        ParameterSet(key, info.name, info.security_bits, info.secure)
        for key, info in PARAMETER_SETS.items()
        if info.suite is suite
    )


class Suite(Protocol):
    """A verification suite. Implementations are stateless; randomness and threads are arguments.

    Ids of suites and parameter sets are registered, or from 60,000 up for private use.
    """

    @property
    def id(self) -> int:
        """Registered id."""
        ...

    @property
    def name(self) -> str:
        """Registered name, in lower case."""
        ...

    @property
    def parameter_sets(self) -> tuple[ParameterSet, ...]:
        """What it can be run with; the first is what a prover uses unless told otherwise."""
        ...

    def security(self, graph: Graph, batch: int, parameter_set: int) -> Security:
        """How sure an accepted proof of such a statement makes a verifier; computed, not measured.

        Raises:
            Rejected: ``suite_unsupported_model`` or ``security_unreachable``.
        """
        ...

    def prove(
        self, model: Model, inputs: Batch, context: bytes, parameter_set: int, threads: int
    ) -> tuple[Batch, bytes]:
        """Run the model and prove it: outputs and the proof's body.

        Raises:
            TaskError: the inputs are not the model's.
            Rejected: ``suite_unsupported_model`` or ``security_unreachable``, before any work.
        """
        ...

    def verify(self, statement: Statement, body: bytes, parameter_set: int, threads: int) -> Security:
        """Return where the proof convinces.

        The caller has checked the envelope, the policy, the statement's shapes and its digest.

        Raises:
            Rejected: with the registered code of the first check that fails.
        """
        ...


def _secure_sets() -> frozenset[int]:
    return frozenset(int(key) for key, info in PARAMETER_SETS.items() if info.secure)


@dataclass(frozen=True, slots=True)
class Policy:
    """The verifier's own choice of what convinces it, by parameter set: each belongs to one suite.

    By default every secure registered set; private ones must be named.
    """

    parameter_sets: frozenset[int] = dataclass_field(default_factory=_secure_sets)
    models: frozenset[bytes] | None = None
    """Digests of the models it takes proofs about, from a registry it trusts; any without. A graph that the prover
    chose may have been made for the proof system.
    """

    @classmethod
    def of(cls, parameter_sets: Iterable[int], models: Iterable[bytes] | None = None) -> "Policy":
        """A policy that admits these parameter sets and, where given, these models and no other."""
        return cls(frozenset(int(key) for key in parameter_sets), None if models is None else frozenset(models))

    def admit_model(self, digest: bytes) -> None:
        """Refuse a model that the policy does not name.

        Raises:
            Rejected: ``model_not_accepted``.
        """
        if self.models is not None and digest not in self.models:
            raise Rejected(
                "the verifier's policy does not name this model",
                code=ErrorCode.MODEL_NOT_ACCEPTED,
                expected=f"one of {len(self.models)} digests",
                got=digest.hex(),
            )

    def admit(self, parameter_set: int) -> None:
        """Refuse what the policy does not name.

        Raises:
            Rejected: ``suite_not_accepted``.
        """
        if parameter_set not in self.parameter_sets:
            raise Rejected(
                "the verifier's policy does not accept this suite with this parameter set",
                code=ErrorCode.SUITE_NOT_ACCEPTED,
                expected=", ".join(_name(key) for key in sorted(self.parameter_sets)),
                got=_name(parameter_set),
            )


def _name(parameter_set: int) -> str:
    for key, info in PARAMETER_SETS.items():
        if key == parameter_set:
            return f"{info.suite.name.lower()}/{info.name}"
    return f"parameter set {parameter_set}"


def decode_envelope(proof: bytes) -> ProofEnvelope:
    """Read a proof's envelope.

    Raises:
        Rejected: ``proof_malformed``.
    """
    try:
        envelope = decode(ProofEnvelope, proof, Limits(bytes=MAX_PROOF + ENVELOPE_OVERHEAD, depth=2, items=16))
    except EncodingError as error:
        raise Rejected(f"not a proof: {error}", code=ErrorCode.PROOF_MALFORMED) from error
    if envelope.kind != PROOF_KIND:
        raise Rejected("not a proof", code=ErrorCode.PROOF_MALFORMED, expected=PROOF_KIND, got=envelope.kind)
    return envelope


def encode_envelope(suite: int, parameter_set: int, statement: Statement, body: bytes) -> bytes:
    """The bytes of a proof.

    Raises:
        EncodingError: the body is longer than a proof may be.
    """
    return encode(ProofEnvelope(PROOF_KIND, PROOF_VERSION, int(suite), int(parameter_set), statement.digest, body))
