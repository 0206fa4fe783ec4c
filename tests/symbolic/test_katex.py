"""Every formula of the gallery parses in KaTeX, in strict mode.

KaTeX comes from npm: `npm install` in tests/symbolic/katex (or in a directory named by HJBDSL_KATEX). Without node or katex
the test is skipped, and says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hjbdsl.frontend.load import load_problem
from hjbdsl.symbolic.account import account
from hjbdsl.symbolic.derive import derive
from hjbdsl.symbolic.latex_lines import on_lines

ROOT = Path(__file__).parents[2]
KATEX = Path(os.environ.get("HJBDSL_KATEX", Path(__file__).with_name("katex")))
GALLERY = sorted((ROOT / "hjbdsl" / "gallery").glob("*.hjb"))


def formulas(path):
    """Everything that `hjb derive --steps --format latex` would set."""
    equation = derive(load_problem(str(path)))
    told = account(equation)
    for entry in told.entries:
        yield from ((entry.key, formula.latex) for formula in entry.formulas)
    for line in told.boundaries:
        yield from (("boundary", part.latex) for part in (line.where, line.statement))
    for step in equation.steps:
        yield from ((step.title, formula.latex) for formula in step.formulas)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (KATEX / "node_modules" / "katex").is_dir(), reason=f"katex is not installed in {KATEX}")
def test_every_formula_of_the_gallery_parses():
    written = [(f"{path.stem}: {where}", latex) for path in GALLERY for where, latex in formulas(path)]
    assert len(written) > 300
    broken = [(where, on_lines(latex)) for where, latex in written]
    collected = [{"where": where, "latex": latex} for where, latex in dict.fromkeys((*written, *broken))]
    script = Path(__file__).with_name("katex") / "check.mjs"
    run = subprocess.run(
        ["node", str(script), str(KATEX)], input=json.dumps(collected), capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
