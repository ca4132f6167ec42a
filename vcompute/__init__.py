# SPDX-License-Identifier: Apache-2.0
"""vcompute: outsource exact int8 inference to any device, and rely on the answer."""
