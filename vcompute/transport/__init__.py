# SPDX-License-Identifier: Apache-2.0
"""Transports: they move the bytes of messages and chunks between a party and its coordinator, and know nothing else."""

from vcompute.transport.base import Hub, Link
from vcompute.transport.memory import MemoryLink

__all__ = ["Hub", "Link", "MemoryLink"]
