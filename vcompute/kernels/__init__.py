# SPDX-License-Identifier: Apache-2.0
"""Executors of the task encoding: :mod:`reference` (numpy, the specification) and :mod:`native` (the C core)."""
