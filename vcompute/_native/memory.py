# SPDX-License-Identifier: Apache-2.0
"""Memory that a computation uses again: large numpy arrays made under :func:`reused` come from an arena.

A system's allocator maps each large array anew and gives it back at once, so a proof would touch several times the
memory that it holds at its peak, and every page touched first has to be found and cleared by the system. numpy lets a
context choose its allocator (NEP 49): nothing outside the context sees the arena, arrays may outlive it and die in any
thread.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any, Final

import numpy as np

from vcompute import _native

STRETCH: Final = 1 << (30 if ctypes.sizeof(ctypes.c_void_p) == 8 else 26)
"""Bytes that an arena asks the system for at a time; untouched, they cost address space alone."""
_RELEASED, _LENT, _IN_USE = range(3)
"""States of an arena."""
_HANDLER_SLOT: Final = 304
"""PyDataMem_SetHandler in numpy's table of functions, whose places are part of its binary interface."""


@dataclass(frozen=True, slots=True)
class _Arena:
    """An arena and what numpy knows it by. Never freed: contexts that were copied may hold the capsule for ever."""

    pointer: Any
    capsule: Any


_idle: Final[list[_Arena]] = []
"""Arenas of no context; the first one may still hold memory."""
_lock: Final = Lock()
_current: Final[ContextVar[_Arena | None]] = ContextVar("vcompute arena", default=None)


@contextmanager
def reused() -> Iterator[None]:
    """Large arrays made inside share memory that is used again. At the end it stays for the next such context, but the
    system may take what it is short of (where it has no such thing, all is given back); :func:`release` gives it back
    at once.

    A context inside another one shares its memory. Arrays that outlive the context keep their part of it from the
    system: copy what is kept for long, or make it under :func:`plain`. Without the native core, or with a numpy that
    has no such hook, nothing changes.
    """
    set_handler = _set_handler()
    arena = _take() if set_handler is not None and _current.get() is None else None
    if set_handler is None or arena is None:
        yield
        return
    token = _current.set(arena)
    _native.lib.vc_arena_set(arena.pointer, _IN_USE)
    before = set_handler(arena.capsule)
    try:
        yield
    finally:
        set_handler(before)
        _current.reset(token)
        _native.lib.vc_arena_set(arena.pointer, _LENT)
        with _lock:
            _release(_idle)
            _idle.insert(0, arena)


def release() -> None:
    """Give back what no context uses."""
    with _lock:
        _release(_idle)


@contextmanager
def plain() -> Iterator[None]:
    """Arrays made inside come from numpy's own allocator: for what is kept longer than a computation."""
    set_handler = _set_handler()
    if set_handler is None or _current.get() is None:
        yield
        return
    token = _current.set(None)
    before = set_handler(ctypes.py_object())  # NULL: numpy's own
    try:
        yield
    finally:
        set_handler(before)
        _current.reset(token)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the arena in use holds."""

    touched: int
    """Bytes that were given out at least once."""
    blocks: int
    """Blocks in use."""


def figures() -> Figures | None:
    """The arena in use; None where there is none."""
    arena = _current.get()
    if arena is None:
        return None
    numbers = _native.ffi.new("size_t[2]")
    _native.lib.vc_arena_figures(arena.pointer, numbers)
    return Figures(numbers[0], numbers[1])


def _release(arenas: list[_Arena]) -> None:
    for arena in arenas:
        _native.lib.vc_arena_set(arena.pointer, _RELEASED)


def _take() -> _Arena | None:
    with _lock:
        if _idle:
            return _idle.pop(0)
    pointer = _native.lib.vc_arena_new(STRETCH)
    if pointer == _native.ffi.NULL:
        return None
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    handler = int(_native.ffi.cast("uintptr_t", _native.lib.vc_arena_handler(pointer)))
    return _Arena(pointer, new(handler, _CAPSULE, None))


_CAPSULE: Final = b"mem_handler"
"""The name numpy asks of a handler's capsule; the capsule keeps the pointer to it."""


@cache
def _set_handler() -> Any:
    """numpy's PyDataMem_SetHandler; None where the core or the function is missing."""
    table = getattr(getattr(getattr(np, "_core", None) or np.core, "_multiarray_umath", None), "_ARRAY_API", None)
    if not _native.available() or table is None:
        return None
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    slots = ctypes.cast(get(table, None), ctypes.POINTER(ctypes.c_void_p))
    kind = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)
    return kind(slots[_HANDLER_SLOT] or 0)
