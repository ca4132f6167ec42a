# SPDX-License-Identifier: Apache-2.0
"""vcompute: outsource exact int8 inference to any device, and rely on the answer."""


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("vcompute")
    raise AttributeError(f"module 'vcompute' has no attribute {name!r}")
