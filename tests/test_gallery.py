"""Every problem of the gallery: canonical text, a source named, an equation derived, an answer that passes the file's checks."""

from __future__ import annotations

from pathlib import Path

import pytest

import hjbdsl
from hjbdsl.frontend.format import format_file
from hjbdsl.frontend.parse import parse_file

GALLERY = Path(__file__).parent.parent / "problems"
PROBLEMS = sorted(path.stem for path in GALLERY.glob("*.hjb"))
FOR_THE_GRID = frozenset({"air3d", "american_put", "pendulum"})
FROM_DATA = frozenset({"digits", "two_moons"})
QUICK = frozenset({"merton", "lqr", "almgren_chriss", "gambler", "vasicek_bond", "diffusion_ou", "machine_repair", "invest_when"})


def _slow_unless_quick(name: str) -> object:
    return name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)


def test_the_gallery_is_large() -> None:
    assert len(PROBLEMS) >= 25


@pytest.mark.parametrize("name", PROBLEMS)
def test_it_is_canonical_names_a_source_and_derives(name: str) -> None:
    path = GALLERY / f"{name}.hjb"
    text = path.read_text(encoding="utf-8")
    assert format_file(parse_file(str(path))) == text
    assert "\n# " in text, "a comment names the source"
    problem = hjbdsl.load(str(path))
    assert problem.name == name
    assert problem.hjb.model.pde.latex


@pytest.mark.parametrize("name", [_slow_unless_quick(name) for name in PROBLEMS if name not in FOR_THE_GRID | FROM_DATA])
def test_it_is_proved_and_its_checks_hold(name: str) -> None:
    solution = hjbdsl.load(str(GALLERY / f"{name}.hjb")).solve(method="closed_form")
    assert solution.status == "proved"
    failed = [f"{check.text}: off by {check.max_error:.2g}" for check in solution.checks if not check.passed]
    assert not failed
