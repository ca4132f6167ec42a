# SPDX-License-Identifier: Apache-2.0
"""``kill -9`` of each party at random moments, with real processes: nothing is lost, nothing is paid twice."""

import random
from pathlib import Path

import pytest

from tests.session.kills import VICTIMS, kill_and_check

pytestmark = pytest.mark.server


@pytest.mark.parametrize("victim", VICTIMS)
def test_kill_at_random_moments_loses_nothing_and_pays_once(victim: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    kill_and_check((victim,), 2, random.Random(seed), tmp_path)
