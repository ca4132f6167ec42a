#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Say which Debian package is missing, before anything else fails in a less clear way: preflight.sh PYTHON
set -u
python=${1:-python3}
missing=()
command -v "$python" >/dev/null 2>&1 || missing+=("python3")
if command -v "$python" >/dev/null 2>&1; then
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "vcompute needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Set PYTHON=..." >&2
    exit 1
  }
  "$python" -c 'import venv, ensurepip' 2>/dev/null || missing+=("python3-venv")
  "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' \
    || missing+=("python3-dev")
fi
command -v "${CC:-cc}" >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || missing+=("gcc")
[ -e /usr/include/stdio.h ] || [ "$(uname -s)" != Linux ] || missing+=("libc6-dev")
if [ ${#missing[@]} -gt 0 ]; then
  echo "vcompute needs Debian packages that are not installed: ${missing[*]}" >&2
  echo "  sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
