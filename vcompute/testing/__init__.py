# SPDX-License-Identifier: Apache-2.0
"""What authors of adapters and of schemas test with (extra ``testing``): strategies derived from the schemas."""
