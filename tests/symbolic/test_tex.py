"""Documents of the gallery compile, and no line runs off the page.

TeX (pdflatex) is looked up on the path; without it the test is skipped, and says so.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hjbdsl.frontend.load import load_problem
from hjbdsl.symbolic.derive import derive
from hjbdsl.symbolic.render import render

GALLERY = Path(__file__).parents[2] / "hjbdsl" / "gallery"
MOST_POINTS_OFF = 20.0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", ["merton_two_assets", "market_making", "diffusion_ou"])
def test_compiles_within_the_page(tmp_path, name):
    source = tmp_path / f"{name}.tex"
    source.write_text(render(derive(load_problem(str(GALLERY / f"{name}.hjb"))), "latex", steps=True), encoding="utf-8")
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", source.name],
        cwd=tmp_path, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout.decode(errors="replace")[-2000:]
    log = (tmp_path / f"{name}.log").read_text(errors="replace")
    overfull = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert all(points <= MOST_POINTS_OFF for points in overfull), overfull
