# SPDX-License-Identifier: Apache-2.0
"""The registries of the protocol. Generated from ``spec/registry/*.toml`` by ``make generate``; do not edit."""

from enum import IntEnum, unique
from typing import Final, NamedTuple


@unique
class ErrorCode(IntEnum):
    """The registered error codes."""

    MALFORMED_ENCODING = 1
    """the bytes are not the deterministic CBOR profile"""

    SCHEMA_VIOLATION = 2
    """well-formed bytes that do not fit the schema"""

    LIMIT_EXCEEDED = 3
    """a size, count or depth is over its bound"""

    UNSUPPORTED_VERSION = 4
    """the version is not one this implementation reads"""

    DIGEST_MISMATCH = 5
    """content does not have the digest it is named by"""

    INVALID_GRAPH = 100
    """the graph breaks a structural rule: order, references, operands"""

    INVALID_SHAPE = 101
    """a shape does not follow from the operator's shape rule, or an array does not have the shape asked for"""

    VALUE_OUT_OF_RANGE = 102
    """an attribute or constant is outside the range its rule gives"""

    ACCUMULATOR_OVERFLOW = 103
    """an accumulator could leave 32-bit range"""

    UNSUPPORTED_OPERATOR = 104
    """an operator, type or option that this version of the operator set does not have"""

    IMPORT_FAILED = 105
    """the foreign model cannot be imported; the message names operator, tensor and reason"""

    INVALID_INPUT = 106
    """an input array has the wrong type, shape or values"""

    PROOF_MALFORMED = 200
    """the proof's bytes do not decode"""

    PROOF_REJECTED = 201
    """the proof decodes but does not convince"""

    OUTPUT_MISMATCH = 202
    """recomputation gives other output bytes"""

    STATEMENT_MISMATCH = 203
    """the proof is for another statement: model, inputs, outputs, batch or context"""

    SUITE_NOT_ACCEPTED = 204
    """the verifier's policy does not name this suite or parameter set"""

    SUITE_UNSUPPORTED_MODEL = 205
    """the suite cannot prove this model"""

    SECURITY_UNREACHABLE = 206
    """the instance cannot reach the parameter set's security level"""

    MODEL_NOT_ACCEPTED = 207
    """the verifier's policy does not name this model"""

    NONCANONICAL_ELEMENT = 210
    """a field element is not below p"""

    TRUNCATED_PROOF = 211
    """the proof ends before its last message"""

    TRAILING_BYTES = 212
    """the proof has bytes after its last message"""

    GRINDING = 213
    """a proof-of-work nonce does not do the work"""

    MERKLE_PATH = 214
    """opened rows do not hash to the committed root"""

    QUERY_CONSISTENCY = 215
    """an opened position disagrees with the folded polynomial"""

    SUMCHECK = 216
    """the messages of a sumcheck do not add up"""

    FINAL_POLYNOMIAL = 217
    """the last polynomial does not fit the claims or the last queries"""

    OPENING_SHAPE = 218
    """claims and commitments do not fit each other, or are over their bounds"""

    LOOKUP_SUM = 219
    """the fractions of all lookups and table rows do not add up to zero"""

    BAD_SIGNATURE = 300
    """the signature does not verify under the key in its header"""

    INVALID_KEY = 301
    """a key is not one point of its curve in its one encoding"""

    NON_CANONICAL_SIGNATURE = 302
    """an ES256 signature with r or s out of range, or s in the upper half"""

    UNEXPECTED_SIGNER = 303
    """signed by another key than the one this message needs"""

    UNKNOWN_MESSAGE = 304
    """the message type is not registered or not for this role"""

    UNKNOWN_CRITICAL_EXTENSION = 305
    """an extension that must be understood is not"""

    DECRYPTION_FAILED = 320
    """the ciphertext does not open: another key, configuration or byte"""

    QUORUM_NOT_REACHED = 321
    """fewer members of the verifier set signed than its threshold"""

    EVIDENCE_STALE = 322
    """the evidence answers another challenge"""

    KEY_REUSED = 323
    """a key that was replaced cannot come back"""

    KEY_ROTATED = 324
    """the signer's party signs with another key since a rotation"""

    KEY_REVOKED = 325
    """the signer's key is revoked: nothing it signs counts any more"""

    EVIDENCE_REJECTED = 326
    """the attestation evidence is missing, of an unknown attester, or does not say what the policy requires"""

    UNEXPECTED_MESSAGE = 400
    """the message does not fit the state of the session"""

    UNKNOWN_SESSION = 401
    """no session of this name; say hello again"""

    UNKNOWN_TASK = 402
    """no task of this name"""

    STALE_LEASE = 403
    """the lease is over or belongs to another attempt"""

    DEADLINE_PASSED = 404
    """the task's deadline has passed"""

    NO_COMMON_VERSION = 405
    """no protocol version is spoken by both sides"""

    NO_COMMON_SUITE = 406
    """no verification suite and parameter set is common to offer and worker"""

    TERMS_NOT_ACCEPTABLE = 407
    """the offer's terms are outside what this party accepts"""

    PRICE_TOO_LOW = 408
    """the price is below the worker's price for the work units"""

    BUSY = 409
    """no free capacity; try again later"""

    DEVICE_UNAVAILABLE = 410
    """the device policy forbids work now"""

    CANCELLED = 411
    """the task was cancelled by the requester"""

    LEASE_EXPIRED = 412
    """the lease ended without a renewal or a result"""

    VERDICT_TIMEOUT = 413
    """no verdict within the offer's window"""

    RATE_LIMITED = 414
    """too many messages; try again later"""

    WORK_UNITS_MISMATCH = 415
    """the offer's work units are not those of the graph and batch"""

    COMPUTE_FAILED = 416
    """the worker could not run the task"""

    DOWNGRADE_DETECTED = 417
    """the negotiated version or suites are not the best both sides speak"""

    TRANSPORT_FAILED = 500
    """the peer could not be reached or gave no usable answer"""

    BLOB_UNKNOWN = 501
    """no blob or chunk of this name is held here"""

    BLOB_UNWANTED = 502
    """nobody announced this blob in a signed message"""

    STORAGE_FULL = 503
    """the blob store is at its bound"""

    INSECURE_TRANSPORT = 504
    """plain HTTP beyond the loopback needs TLS or an explicit choice"""

    INSUFFICIENT_FUNDS = 600
    """the requester's balance does not cover the escrow"""

    INSUFFICIENT_BOND = 601
    """the worker's balance does not cover the bond"""

    ESCROW_MISSING = 602
    """no escrow is open for this task"""

    VERDICT_NOT_ADMITTED = 603
    """the verdict's signer or basis is not one the offer's policy admits"""

    LEASE_CONFLICT = 604
    """the escrow has another active lease, or the lease is in another state"""

    SETTLEMENT_UNKNOWN = 605
    """the settlement's answer is not known; the same operation may be retried"""

    JOURNAL_BROKEN = 606
    """the journal's hash chain, balances or states do not agree"""

    WRONG_SETTLEMENT = 607
    """the offer names another settlement"""

    OPERATION_CONFLICT = 608
    """an operation of this id with other content was done before"""

    NOT_DUE = 609
    """the refund or release is not due yet"""

    RECEIPT_MISMATCH = 610
    """a receipt's parties, amounts or evidence are not those of its offer"""

    USAGE = 700
    """the command line or a call's arguments are wrong"""

    UNREADABLE_FILE = 701
    """a local file cannot be read or is not what it should be"""

    NATIVE_UNAVAILABLE = 702
    """the native core is asked for and is not there"""


@unique
class Opcode(IntEnum):
    """The operators of operator set v1."""

    CONV_2D = 1
    """2-D convolution, per-channel requantisation"""

    DEPTHWISE_CONV_2D = 2
    """2-D depthwise convolution, per-channel requantisation"""

    FULLY_CONNECTED = 3
    """matrix product of the last axis with constant weights, per-channel requantisation"""

    BATCH_MATMUL = 4
    """matrix product of two activations"""

    ADD = 5
    """sum of two activations of different scales, with broadcasting"""

    MUL = 6
    """product of two activations, with broadcasting"""

    AVERAGE_POOL_2D = 7
    """rounded mean over a window, image only"""

    MAX_POOL_2D = 8
    """maximum over a window, image only"""

    MEAN = 9
    """mean over axes, requantised"""

    PAD = 10
    """constant padding"""

    CONCATENATION = 11
    """activations joined along an axis"""

    RESHAPE = 12
    """the same elements in row-major order under another shape"""

    TRANSPOSE = 13
    """axes permuted"""

    SOFTMAX = 14
    """fixed-point softmax over the last axis"""

    LOGISTIC = 15
    """fixed-point logistic function"""

    QUANTIZE = 16
    """requantisation to another scale and zero point"""

    CONSTANT = 64
    """a constant int8 tensor, the same for every sample"""

    MATMUL = 65
    """int8 matrix product with constant weights into int32, no requantisation"""


@unique
class SuiteId(IntEnum):
    """The verification suites."""

    REPLAY = 1
    """the verifier runs the model again; one differing byte convicts"""

    FREIVALDS = 2
    """matrix products checked by random projection, everything else recomputed"""

    SUCCINCT = 3
    """a succinct proof of the exact integer semantics"""


@unique
class ParameterSetId(IntEnum):
    """The parameter sets of the suites."""

    EXACT = 1
    """no randomness: exact recomputation"""

    PUBLIC_128 = 2
    """public-coin challenges from the transcript, at least 100 bits"""

    STANDARD = 3
    """unique decoding, proved, at least 100 bits round by round"""

    TINY = 4
    """a small instance for tests; no security"""

    PRIVATE_128 = 5
    """the verifier's own randomness, drawn once it holds the result: convinces that verifier alone"""


@unique
class MessageType(IntEnum):
    """The messages of the protocol."""

    HELLO = 1
    """versions, suites and extensions of one side; the answer carries the choice"""

    ADVERTISE = 2
    """what a worker or verifier can do, its price, capacity and how long the advertisement stands"""

    OFFER = 3
    """a task: model, inputs, terms and verification policy, signed by the requester"""

    ASSIGN = 4
    """the coordinator gives a worker an offer to accept or decline"""

    ACCEPT = 5
    """a worker takes an offer and puts up its bond; its digest names the lease"""

    DECLINE = 6
    """an offer or assignment is not taken, with the reason"""

    PROGRESS = 7
    """a worker renews its lease"""

    YIELD = 8
    """a worker gives a lease back without fault"""

    RESULT = 9
    """a worker commits to outputs and proof"""

    CHECK = 10
    """the coordinator asks a verifier to judge a result"""

    VERDICT = 11
    """a verifier's signed judgement of a result and its basis"""

    RECEIPT = 12
    """the settlement's signed record of a movement of money"""

    CANCEL = 13
    """a task or lease ends"""

    ERROR = 14
    """a message or request was refused"""

    FETCH = 15
    """a party asks for its next message over a transport that cannot push"""

    SAMPLE_COMMIT = 16
    """a party commits to its randomness for a draw"""

    SAMPLE_REVEAL = 17
    """a party opens its commitment"""

    DRAW = 18
    """the coordinator passes on what it has of a draw"""

    CHALLENGE = 19
    """anyone with a stake asks for the proof of a result"""

    ANSWER = 20
    """the worker's proof of a result that is challenged or drawn"""

    READER = 21
    """a worker or verifier asks for the opening of confidential inputs"""

    OPENING = 22
    """the requester's sealed opening of its inputs for one reader"""

    KEY_CHANGE = 23
    """a signed record of a party's keys: enrolment, rotation or revocation, for the coordinator"""

    LOOKUP = 24
    """asks for the records of a party's keys"""

    KEYS = 25
    """the coordinator passes on records of a party's keys"""

    ENROL = 26
    """a party enrols for a session, with evidence about its device key where it has any"""


@unique
class Basis(IntEnum):
    """What a verdict rests on."""

    PROVED = 1
    """a proof of the statement was verified"""

    REPLAYED = 2
    """the model was run again and gave the same bytes"""

    NOT_SAMPLED = 3
    """the task was not drawn for checking"""

    UNCHALLENGED = 4
    """nobody challenged within the window"""


@unique
class Role(IntEnum):
    """The roles of the protocol."""

    REQUESTER = 1
    """offers tasks and pays"""

    WORKER = 2
    """runs tasks and is paid"""

    COORDINATOR = 3
    """matches and relays; holds no trust"""

    VERIFIER = 4
    """judges results"""

    SETTLEMENT = 5
    """holds escrow and bonds"""


@unique
class Outcome(IntEnum):
    """What a receipt records."""

    PAID = 1
    """the escrow went to the worker and the bond back to it"""

    SLASHED = 2
    """the bond went to the requester; the escrow stays open"""

    RETURNED = 3
    """the bond went back to the worker without fault; the escrow stays open"""

    REFUNDED = 4
    """the escrow went back to the requester"""


@unique
class YieldReason(IntEnum):
    """Why a worker gives a lease back."""

    BATTERY = 1
    """battery level or charging state"""

    THERMAL = 2
    """temperature"""

    NETWORK = 3
    """the network is gone or metered"""

    OPERATING_SYSTEM = 4
    """the operating system ends background work"""

    USER = 5
    """the user wants the device"""

    UNKNOWN = 6
    """the reason is not known"""

    INTERNAL = 7
    """the work could not be done"""


@unique
class AttestationType(IntEnum):
    """Types of platform evidence about a device key."""

    ANDROID_KEY = 65000
    """an Android key attestation: the certificate chain, leaf first, DER one after the other"""

    APPLE_APP_ATTEST = 65001
    """an Apple App Attest attestation object"""

    TPM2_QUOTE = 65002
    """a TPM 2.0 quote with its event log"""

    ATTESTER_TOKEN = 65003
    """an attester's Entity Attestation Token about the device key, signed by a key that operators trust"""


@unique
class RevocationReason(IntEnum):
    """Why a key is revoked."""

    SUPERSEDED = 1
    """replaced by another key"""

    COMPROMISED = 2
    """somebody else may hold the secret"""

    DEVICE_LOST = 3
    """the device is lost or was sold"""

    WITHDRAWN = 4
    """the party leaves"""


@unique
class SignatureScheme(IntEnum):
    """Signature schemes of devices and quorums."""

    ES256 = 1
    """ECDSA on P-256 with SHA-256 and low s (COSE -7); mandatory for device keys"""

    ED25519 = 2
    """Ed25519 with the strict precheck (COSE -19); for devices without P-256"""

    BLS12381_POP = 3
    """BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_; verifier quorums"""


@unique
class ThermalStatus(IntEnum):
    """How hot a device says it is, by severity."""

    NONE = 0
    """not throttled"""

    LIGHT = 1
    """light throttling, not noticed by the user"""

    MODERATE = 2
    """moderate throttling, the user is hardly affected"""

    SEVERE = 3
    """severe throttling, the user notices"""

    CRITICAL = 4
    """the platform has done everything to reduce power"""


@unique
class TransportId(IntEnum):
    """The transports."""

    MEMORY = 1
    """within one process, for tests and simulations"""

    HTTP = 2
    """requests over HTTP; a client polls with Fetch"""


@unique
class SettlementId(IntEnum):
    """The settlement drivers."""

    LEDGER = 1
    """integers in a journal of double entries, kept by an operator; receipts signed by its key"""


HTTP_STATUS: Final[dict[ErrorCode, int]] = {
    ErrorCode.MALFORMED_ENCODING: 400,
    ErrorCode.SCHEMA_VIOLATION: 422,
    ErrorCode.LIMIT_EXCEEDED: 413,
    ErrorCode.UNSUPPORTED_VERSION: 400,
    ErrorCode.DIGEST_MISMATCH: 422,
    ErrorCode.INVALID_GRAPH: 422,
    ErrorCode.INVALID_SHAPE: 422,
    ErrorCode.VALUE_OUT_OF_RANGE: 422,
    ErrorCode.ACCUMULATOR_OVERFLOW: 422,
    ErrorCode.UNSUPPORTED_OPERATOR: 422,
    ErrorCode.IMPORT_FAILED: 422,
    ErrorCode.INVALID_INPUT: 422,
    ErrorCode.PROOF_MALFORMED: 422,
    ErrorCode.PROOF_REJECTED: 422,
    ErrorCode.OUTPUT_MISMATCH: 422,
    ErrorCode.STATEMENT_MISMATCH: 422,
    ErrorCode.SUITE_NOT_ACCEPTED: 422,
    ErrorCode.SUITE_UNSUPPORTED_MODEL: 422,
    ErrorCode.SECURITY_UNREACHABLE: 422,
    ErrorCode.MODEL_NOT_ACCEPTED: 422,
    ErrorCode.NONCANONICAL_ELEMENT: 422,
    ErrorCode.TRUNCATED_PROOF: 422,
    ErrorCode.TRAILING_BYTES: 422,
    ErrorCode.GRINDING: 422,
    ErrorCode.MERKLE_PATH: 422,
    ErrorCode.QUERY_CONSISTENCY: 422,
    ErrorCode.SUMCHECK: 422,
    ErrorCode.FINAL_POLYNOMIAL: 422,
    ErrorCode.OPENING_SHAPE: 422,
    ErrorCode.LOOKUP_SUM: 422,
    ErrorCode.BAD_SIGNATURE: 401,
    ErrorCode.INVALID_KEY: 422,
    ErrorCode.NON_CANONICAL_SIGNATURE: 422,
    ErrorCode.UNEXPECTED_SIGNER: 403,
    ErrorCode.UNKNOWN_MESSAGE: 422,
    ErrorCode.UNKNOWN_CRITICAL_EXTENSION: 422,
    ErrorCode.DECRYPTION_FAILED: 422,
    ErrorCode.QUORUM_NOT_REACHED: 422,
    ErrorCode.EVIDENCE_STALE: 422,
    ErrorCode.KEY_REUSED: 422,
    ErrorCode.KEY_ROTATED: 403,
    ErrorCode.KEY_REVOKED: 403,
    ErrorCode.EVIDENCE_REJECTED: 403,
    ErrorCode.UNEXPECTED_MESSAGE: 409,
    ErrorCode.UNKNOWN_SESSION: 401,
    ErrorCode.UNKNOWN_TASK: 404,
    ErrorCode.STALE_LEASE: 409,
    ErrorCode.DEADLINE_PASSED: 410,
    ErrorCode.NO_COMMON_VERSION: 400,
    ErrorCode.NO_COMMON_SUITE: 422,
    ErrorCode.TERMS_NOT_ACCEPTABLE: 422,
    ErrorCode.PRICE_TOO_LOW: 422,
    ErrorCode.BUSY: 429,
    ErrorCode.DEVICE_UNAVAILABLE: 503,
    ErrorCode.CANCELLED: 410,
    ErrorCode.LEASE_EXPIRED: 410,
    ErrorCode.VERDICT_TIMEOUT: 504,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.WORK_UNITS_MISMATCH: 422,
    ErrorCode.COMPUTE_FAILED: 500,
    ErrorCode.DOWNGRADE_DETECTED: 400,
    ErrorCode.TRANSPORT_FAILED: 503,
    ErrorCode.BLOB_UNKNOWN: 404,
    ErrorCode.BLOB_UNWANTED: 403,
    ErrorCode.STORAGE_FULL: 507,
    ErrorCode.INSECURE_TRANSPORT: 400,
    ErrorCode.INSUFFICIENT_FUNDS: 402,
    ErrorCode.INSUFFICIENT_BOND: 402,
    ErrorCode.ESCROW_MISSING: 404,
    ErrorCode.VERDICT_NOT_ADMITTED: 403,
    ErrorCode.LEASE_CONFLICT: 409,
    ErrorCode.SETTLEMENT_UNKNOWN: 503,
    ErrorCode.JOURNAL_BROKEN: 500,
    ErrorCode.WRONG_SETTLEMENT: 422,
    ErrorCode.OPERATION_CONFLICT: 409,
    ErrorCode.NOT_DUE: 409,
    ErrorCode.RECEIPT_MISMATCH: 422,
    ErrorCode.USAGE: 400,
    ErrorCode.UNREADABLE_FILE: 400,
    ErrorCode.NATIVE_UNAVAILABLE: 500,
}
"""The HTTP status that carries each error (RFC 9457)."""


class ParameterSetInfo(NamedTuple):
    """What the registry says of a parameter set."""

    suite: SuiteId
    security_bits: int
    secure: bool
    name: str


PARAMETER_SETS: Final[dict[ParameterSetId, ParameterSetInfo]] = {
    ParameterSetId.EXACT: ParameterSetInfo(SuiteId.REPLAY, 0, True, "exact"),
    ParameterSetId.PUBLIC_128: ParameterSetInfo(SuiteId.FREIVALDS, 100, True, "public-128"),
    ParameterSetId.STANDARD: ParameterSetInfo(SuiteId.SUCCINCT, 100, True, "standard"),
    ParameterSetId.TINY: ParameterSetInfo(SuiteId.SUCCINCT, 0, False, "tiny"),
    ParameterSetId.PRIVATE_128: ParameterSetInfo(SuiteId.FREIVALDS, 100, True, "private-128"),
}
"""The registered parameter sets, by id."""

TRANSPORT_SCHEMES: Final[dict[TransportId, tuple[str, ...]]] = {
    TransportId.MEMORY: (),
    TransportId.HTTP: ("http", "https"),
}
"""The URL schemes of each transport."""
