# SPDX-License-Identifier: Apache-2.0
"""Sumcheck of a product of two stacked tables."""
