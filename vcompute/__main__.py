# SPDX-License-Identifier: Apache-2.0
"""``python -m vcompute``."""

from vcompute.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
