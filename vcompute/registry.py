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

    BLOB_UNKNOWN = 501
    """no blob or chunk of this name is held here"""

    STORAGE_FULL = 503
    """the blob store is at its bound"""

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
    ErrorCode.NONCANONICAL_ELEMENT: 422,
    ErrorCode.TRUNCATED_PROOF: 422,
    ErrorCode.TRAILING_BYTES: 422,
    ErrorCode.GRINDING: 422,
    ErrorCode.MERKLE_PATH: 422,
    ErrorCode.QUERY_CONSISTENCY: 422,
    ErrorCode.SUMCHECK: 422,
    ErrorCode.FINAL_POLYNOMIAL: 422,
    ErrorCode.OPENING_SHAPE: 422,
    ErrorCode.BLOB_UNKNOWN: 404,
    ErrorCode.STORAGE_FULL: 507,
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
}
"""The registered parameter sets, by id."""
