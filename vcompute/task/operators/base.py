# SPDX-License-Identifier: Apache-2.0
"""What every operator has: an opcode, attributes, operand and constant rules, a shape rule, work units.

Requantisation constants of one scalar stand in the attributes; per-channel ones are constants of the node, named
``multiplier`` (int32) and ``shift`` (int8). A *shift* is the exponent s of the real multiplier
``multiplier * 2**(s - 31)``.
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import ClassVar, Final

from vcompute.codec import Enum, Int, field
from vcompute.errors import TaskError
from vcompute.registry import ErrorCode, Opcode
from vcompute.task.tensor import ConstantType, DType, Shape, ValueType

SHIFT_RANGE: Final = (-31, 30)
MULTIPLIER_RANGE: Final = (0, (1 << 31) - 1)


@unique
class Rounding(IntEnum):
    """How a requantisation rounds."""

    DOUBLE = 1
    """a rounding doubling high multiplication, then a rounding shift with ties away from zero"""
    SINGLE = 2
    """one rounding of the whole product, ties up"""


@dataclass(frozen=True, slots=True)
class Requant:
    """A scalar requantisation: the real factor ``multiplier * 2**(shift - 31)``."""

    multiplier: int = field(0, Int(*MULTIPLIER_RANGE), "fixed-point multiplier")
    shift: int = field(1, Int(*SHIFT_RANGE), "exponent")


@dataclass(frozen=True, slots=True)
class Work:
    """Work units of a node for one sample: what prices and reports are counted in."""

    macs: int = 0
    """multiply-accumulates"""
    elements: int = 0
    """elements written"""

    def __add__(self, other: "Work") -> "Work":
        return Work(self.macs + other.macs, self.elements + other.elements)


ROUNDING: Final = Enum(Rounding)
CLAMP: Final = Int(-128, 127)


@dataclass(frozen=True, slots=True)
class Operator:
    """Base of the operator attributes. Subclasses are records; a node carries one of them."""

    opcode: ClassVar[Opcode]
    operands: ClassVar[tuple[int, int]] = (1, 1)
    """least and most number of operands"""
    constant_names: ClassVar[tuple[str, ...]] = ()
    operand_dtypes: ClassVar[frozenset[DType]] = frozenset({DType.INT8})
    output_dtypes: ClassVar[frozenset[DType]] = frozenset({DType.INT8})

    @property
    def name(self) -> str:
        """The registered name."""
        return self.opcode.name.lower()

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape | None:
        """The one output shape that the operands admit, or None where the node states it (RESHAPE, CONSTANT).

        Raises:
            TaskError: operands, constants and attributes do not fit together.
        """
        raise NotImplementedError

    def check_output(self, inputs: tuple[ValueType, ...], output: ValueType) -> None:
        """Further rules that tie the output's type to the operands."""

    def work(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...], output: ValueType) -> Work:
        """Work units for one sample."""
        return Work(elements=output.elements)


def bad_shape(operator: Operator, message: str, expected: object = None, got: object = None) -> TaskError:
    """A shape-rule error that names the operator."""
    return TaskError(f"{operator.name}: {message}", code=ErrorCode.INVALID_SHAPE, expected=expected, got=got)


def bad_value(operator: Operator, message: str, expected: object = None, got: object = None) -> TaskError:
    """A range error that names the operator."""
    return TaskError(f"{operator.name}: {message}", code=ErrorCode.VALUE_OUT_OF_RANGE, expected=expected, got=got)


def check_constant(operator: Operator, name: str, constant: ConstantType, dtype: DType, shape: Shape) -> None:
    """Refuse a constant of another type or shape."""
    if constant.dtype is not dtype or constant.shape != shape:
        raise bad_shape(
            operator,
            f"constant {name!r} does not fit",
            expected=f"{dtype.name.lower()}{list(shape)}",
            got=f"{constant.dtype.name.lower()}{list(constant.shape)}",
        )


def check_clamp(operator: Operator, low: int, high: int) -> None:
    """Refuse an empty clamp range."""
    if low > high:
        raise bad_value(operator, "the clamp range is empty", expected="low <= high", got=f"[{low}, {high}]")


def same_zero_point(operator: Operator, inputs: tuple[ValueType, ...], output: ValueType) -> None:
    """Refuse an output whose zero point differs from an operand's."""
    for value in inputs:
        if value.zero_point != output.zero_point:
            raise bad_value(
                operator,
                "operands and output need one zero point",
                expected=output.zero_point,
                got=value.zero_point,
            )
