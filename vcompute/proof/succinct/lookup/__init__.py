# SPDX-License-Identifier: Apache-2.0
"""logUp-GKR: the fractions of all lookups and table rows add up to zero."""
