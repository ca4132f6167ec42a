# SPDX-License-Identifier: Apache-2.0
"""Importers: foreign model files -> :class:`vcompute.task.Model`. Their input is hostile."""

from vcompute.importers.tflite import Semantics, import_tflite, read_tflite

__all__ = ["Semantics", "import_tflite", "read_tflite"]
