# SPDX-License-Identifier: Apache-2.0
"""Generators of the test vectors, a module for each group."""
