"""Streams that the caller closed (`hjb solve FILE >&-`) end no command in an internal error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROBLEM = """state x in R
control u in R
dx = u dt
minimize E [ integral(0, 1) u^2 dt + x(1)^2 ]
"""


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_closed_stream_is_no_failure(tmp_path, closed):
    path = tmp_path / "p.hjb"
    path.write_text(PROBLEM)
    command = f'"{sys.executable}" -m hjbdsl solve "{path}" --no-cache {closed}'
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "internal error" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_answer_that_could_not_be_written_is_a_failure(tmp_path):
    path = tmp_path / "p.hjb"
    path.write_text(PROBLEM)
    command = f'"{sys.executable}" -m hjbdsl check "{path}" --no-cache >/dev/full'
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
