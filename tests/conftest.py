"""Makes tests/lib importable and gives every test a fleet that is cleaned up."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))


@pytest.fixture
def fleet(tmp_path):
    from fleet import Fleet
    with Fleet(tmp_path) as running:
        yield running
