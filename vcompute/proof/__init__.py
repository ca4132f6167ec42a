# SPDX-License-Identifier: Apache-2.0
"""Verification suites: proofs that a worker ran this model on these inputs and got these outputs."""
