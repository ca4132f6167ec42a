# SPDX-License-Identifier: Apache-2.0
"""The one binding of the native core: ``ffi`` and ``lib``, or ``None`` where it was not built.

``lib`` and ``ffi`` are typed ``Any``: this is the only module that is not checked strictly.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Final

from vcompute.errors import UsageError
from vcompute.registry import ErrorCode

ABI_VERSION: Final = 1

ffi: Any = None
lib: Any = None

try:
    from vcompute._native import _core  # type: ignore[attr-defined]
except ImportError:  # built without a C compiler: the numpy reference does the work
    pass
else:
    if _core.lib.vc_abi_version() == ABI_VERSION:
        ffi, lib = _core.ffi, _core.lib

_warned = False


def available() -> bool:
    """Whether the native core is there and has the interface this version speaks."""
    return lib is not None


def require() -> None:
    """Refuse to go on without the native core.

    Raises:
        UsageError: the core was not built, or is of another version.
    """
    if lib is None:
        raise UsageError(
            "the native core is not built: install a C compiler and reinstall with 'pip install .'",
            code=ErrorCode.NATIVE_UNAVAILABLE,
        )


@dataclass(frozen=True, slots=True)
class Features:
    """The processor features the core knows: in use, and detected but left out by ``VCOMPUTE_ISA``."""

    in_use: tuple[str, ...]
    left_out: tuple[str, ...]


def features() -> Features:
    """What the dispatcher detects and uses; nothing where the core was not built.

    Raises:
        UsageError: ``VCOMPUTE_ISA`` holds a name that is no feature's.
    """
    states: dict[int, list[str]] = {0: [], 1: [], 2: []}
    if lib is not None:
        index = 0
        while (name := lib.vc_cpu_feature_name(index)) != ffi.NULL:
            states[lib.vc_cpu_feature_state(index)].append(ffi.string(name).decode())
            index += 1
        if not lib.vc_cpu_override_ok():
            raise UsageError(
                "VCOMPUTE_ISA is 'portable' or a comma-separated list of features",
                expected=", ".join(name for names in states.values() for name in names),
            )
    return Features(tuple(states[2]), tuple(states[1]))


def warn_fallback() -> None:
    """Say once that the numpy fallback is slow."""
    global _warned  # noqa: PLW0603 - says it once in a process; changes no result
    if not _warned:
        _warned = True
        warnings.warn(
            "vcompute runs without its native core: results are the same, but slow. "
            "Install a C compiler and reinstall.",
            RuntimeWarning,
            stacklevel=3,
        )
