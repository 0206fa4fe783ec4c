"""Formulas on the page: MathML where its optional package is there, the line of text where it is not."""

from __future__ import annotations

from html import escape
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from hjbdsl.frontend.load import load_problem
from hjbdsl.symbolic import mathml
from hjbdsl.symbolic.derive import derive
from hjbdsl.symbolic.render import as_html

GALLERY = Path(__file__).parents[2] / "hjbdsl" / "gallery"


def test_without_the_package_the_text_is_shown(monkeypatch):
    monkeypatch.setattr(mathml, "_converter", lambda: None)
    equation = derive(load_problem(str(GALLERY / "lqr.hjb")))
    page = as_html(equation)
    assert "<math" not in page
    assert f'<div class="formula">{escape(equation.pde.text)}</div>' in page


def test_braces_are_named_and_the_namespace_left_out(monkeypatch):
    seen = []

    def convert(latex, display):
        seen.append(latex)
        return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="{display}"></math>'

    monkeypatch.setattr(mathml, "_converter", lambda: SimpleNamespace(convert=convert))
    assert mathml.mathml(r"\left\{ x \right\}") == '<math display="block"></math>'
    assert seen == [r"\left\lbrace  x \right\rbrace "]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["merton", "market_making", "air3d", "aircraft_lqr"])
def test_formulas_become_well_formed_elements(name):
    pytest.importorskip("latex2mathml", reason="latex2mathml is not installed")
    page = as_html(derive(load_problem(str(GALLERY / f"{name}.hjb"))), steps=True)
    assert "http" not in page
    elements = page.split("<math")[1:]
    assert len(elements) > 10
    for element in elements:
        tree = ElementTree.fromstring("<math" + element.partition("</math>")[0] + "</math>")
        assert not any("\\" in (node.text or "") for node in tree.iter())
