# SPDX-License-Identifier: Apache-2.0
"""Fuzzing of every parser of a peer's or a stranger's bytes: nothing but typed errors, in bounded time and memory.

``python -m tests.fuzz --seconds 60`` runs every target; the tests of this package run each for a moment.
"""
