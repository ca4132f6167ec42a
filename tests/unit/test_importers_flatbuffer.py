# SPDX-License-Identifier: Apache-2.0
"""The FlatBuffers reader: what it reads equals the schema's generated accessors, and hostile structure is refused."""

import struct

import numpy as np
import pytest
import tflite

from tests.support import random_models
from vcompute.data import digits_model
from vcompute.errors import ImportFailed
from vcompute.importers.tflite import import_tflite
from vcompute.importers.tflite.flatbuffer import Reader
from vcompute.importers.tflite.schema import read_subgraph

FILES = [digits_model(), *(random_models.build(name, 1) for name in random_models.BUILDERS)]


@pytest.mark.parametrize("data", FILES, ids=["digits", *random_models.BUILDERS])
def test_reads_what_the_generated_accessors_read(data: bytes) -> None:
    source, model = read_subgraph(data), tflite.Model.GetRootAs(data)
    graph = model.Subgraphs(0)
    assert source.inputs == tuple(graph.InputsAsNumpy())
    assert source.outputs == tuple(graph.OutputsAsNumpy())
    assert len(source.tensors) == graph.TensorsLength()
    for tensor in source.tensors:
        other = graph.Tensors(tensor.index)
        assert tensor.name.encode() == other.Name()
        assert tensor.shape == tuple(other.ShapeAsNumpy())
        assert (tensor.type, tensor.buffer) == (other.Type(), other.Buffer())
        quantization = other.Quantization()
        if quantization is not None and quantization.ScaleLength():
            np.testing.assert_array_equal(tensor.scales, quantization.ScaleAsNumpy())
            np.testing.assert_array_equal(tensor.zero_points, quantization.ZeroPointAsNumpy())
            assert tensor.quantized_dimension == quantization.QuantizedDimension()
        if source.is_constant(tensor):
            content = model.Buffers(other.Buffer()).DataAsNumpy().tobytes()
            assert source.constant(tensor).tobytes() == content
    assert len(source.operators) == graph.OperatorsLength()
    for call in source.operators:
        operator = graph.Operators(call.index)
        assert call.inputs == tuple(operator.InputsAsNumpy())
        assert call.outputs == tuple(operator.OutputsAsNumpy())
        assert call.code == model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
        assert call.options_type == operator.BuiltinOptionsType()


def table(fields: list[bytes], *, vtable_size: int | None = None, table_size: int | None = None) -> bytes:
    """A file whose root table has scalar fields; sizes can be lied about."""
    inline = b"".join(fields)
    offsets = [4 + sum(map(len, fields[:index])) for index in range(len(fields))]
    vtable = struct.pack(
        f"<HH{len(fields)}H",
        4 + 2 * len(fields) if vtable_size is None else vtable_size,
        4 + len(inline) if table_size is None else table_size,
        *offsets,
    )
    vtable += b"\0" * (-len(vtable) % 4)
    return struct.pack("<I4s", 8 + len(vtable), b"TEST") + vtable + struct.pack("<i", len(vtable)) + inline


def test_scalars_and_defaults() -> None:
    data = table([struct.pack("<i", -5), struct.pack("<I", 7), struct.pack("<f", 0.5)])
    root = Reader(data).root(b"TEST")
    assert (root.int32(0), root.uint32(1), root.float32(2)) == (-5, 7, 0.5)
    assert (root.int32(3, 9), root.uint64(4, 1), root.boolean(5), root.text(6), root.numbers(7, "u1")) == (
        9,
        1,
        False,
        "",
        None,
    )
    assert root.tables(8, 10) == []
    assert root.table(9) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a file of this kind"),
        (b"\0\0\0\0TEST", "points at itself"),
        (b"\xff\xff\xff\xffTEST", "points outside the file"),
        (b"\x05\0\0\0TEST\0", "points outside the file"),
        (table([b"\0" * 4], vtable_size=3), "vtable at byte 8 has a wrong size"),
        (table([b"\0" * 4], vtable_size=5), "vtable at byte 8 has a wrong size"),
        (table([b"\0" * 4], vtable_size=60000), "vtable at byte 8 has a wrong size"),
        (table([b"\0" * 4], table_size=60000), "table at byte 16 has a wrong size"),
        (table([b"\0" * 4], table_size=3), "table at byte 16 has a wrong size"),
    ],
)
def test_hostile_tables(data: bytes, message: str) -> None:
    with pytest.raises(ImportFailed, match=message):
        Reader(data).root(b"TEST")


def test_field_outside_its_table() -> None:
    root = Reader(table([b"\1\0\0\0"], table_size=8)).root(b"TEST")
    with pytest.raises(ImportFailed, match="lies outside it"):
        root.uint64(0)


@pytest.mark.parametrize(
    ("count", "message"), [(2, "reaches outside the file"), (0xFFFFFFFF, "reaches outside the file"), (1, None)]
)
def test_vector_extents(count: int, message: str | None) -> None:
    data = table([struct.pack("<I", 4)]) + struct.pack("<II", count, 17)
    root = Reader(data).root(b"TEST")
    if message is None:
        numbers = root.numbers(0, "<i4")
        assert numbers is not None
        assert numbers.tolist() == [17]
    else:
        with pytest.raises(ImportFailed, match=message):
            root.numbers(0, "<i4")


def test_reference_to_itself_is_refused_and_none_leads_back() -> None:
    root = Reader(table([struct.pack("<I", 0)])).root(b"TEST")
    with pytest.raises(ImportFailed, match="points at itself"):
        root.table(0)


def test_too_many_tables_are_refused_before_any_is_read() -> None:
    data = table([struct.pack("<I", 4)]) + struct.pack("<I", 1000) + b"\xff" * 4000
    with pytest.raises(ImportFailed, match="vector of tables is too long"):
        Reader(data).root(b"TEST").tables(0, 999)


def test_shared_content_cannot_make_a_small_file_large() -> None:
    """A thousand references to one table whose string is half the file: read once each, that is 500 files."""
    name = b"n" * 40000
    data = table([struct.pack("<I", 4)])
    count = 1000
    vector_at = len(data)
    shared_at = vector_at + 4 + 4 * count
    offsets = [shared_at + 8 - (vector_at + 4 + 4 * index) for index in range(count)]
    shared = (
        struct.pack("<HHHH", 6, 8, 4, 0) + struct.pack("<i", 8) + struct.pack("<I", 4) + struct.pack("<I", len(name))
    )
    data += struct.pack(f"<I{count}I", count, *offsets) + shared + name
    reader = Reader(data)
    tables = reader.root(b"TEST").tables(0, count)
    assert tables[0].text(0) == name.decode()
    with pytest.raises(ImportFailed, match="far more than its size explains"):
        [entry.text(0) for entry in tables]


def test_every_single_byte_changed_ends_in_a_model_or_a_typed_refusal() -> None:
    data = bytearray(random_models.build("softmax", 0))
    refused = 0
    for position in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            data[position] ^= change
            try:
                import_tflite(bytes(data))
            except ImportFailed:
                refused += 1
            data[position] ^= change
    assert refused > len(data)
