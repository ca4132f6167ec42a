# SPDX-License-Identifier: Apache-2.0
"""Composition: sessions with a transport, a clock, durable state, and the proofs behind two small interfaces."""
