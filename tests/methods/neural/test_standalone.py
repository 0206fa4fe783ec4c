"""`hjb compile --method neural`: the program runs by itself, without hjbdsl, and comes near the closed forms."""

from __future__ import annotations

import ast
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hjbdsl import pipeline, uses
from hjbdsl.errors import NoMethodError
from tests.methods.neural.path_problems import DISCOUNTED, EFFORT, FINITE, riccati

torch = pytest.importorskip("torch")

PROBLEMS = Path(__file__).parents[3] / "problems"
NAMES = """\
param theta = 0.4 "a name that the program has for itself", rho = 0.3, t_1 = 0.2
state x in R, y in circle
control a in [-1, 1], V_y in R
noise W
dx = (a - theta*x) dt + t_1 dW
dy = V_y dt
minimize E integral(0, inf) exp(-rho*t)*(x^2 + a^2 + V_y^2 + cos(y)) dt
region x in [-1, 1]
"""


def source_of(name: str) -> str:
    return uses.compile_solver(pipeline.load(str(PROBLEMS / f"{name}.hjb")), "neural").source


def rows(source: str, folder: Path) -> dict[str, list[float]]:
    """The table that the program prints where there is no hjbdsl: by the first cell, the numbers after it."""
    (folder / "train.py").write_text(source, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-c", "import sys; sys.modules['hjbdsl'] = None; import runpy; "
         "runpy.run_path('train.py', run_name='__main__')"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    lines = [line.split() for line in run.stdout.splitlines()]
    start = next(k for k, line in enumerate(lines) if line and line[-1] == "residual" and line[0] != "residual")
    return {line[0]: [float(cell) for cell in line[1:]] for line in lines[start + 1 : -1]}


@pytest.mark.parametrize(
    "name", ["lqr", pytest.param("merton", marks=pytest.mark.slow), pytest.param("almgren_chriss", marks=pytest.mark.slow)]
)
def test_the_program_compiles_and_cites_the_lines_of_the_file(name: str) -> None:
    source = source_of(name)
    tree = ast.parse(source)
    compile(source, f"{name}.py", "exec")
    imported = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
                for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}  # fmt: skip
    assert imported == {"math", "torch", "torch.func"}
    listed = (PROBLEMS / f"{name}.hjb").read_text(encoding="utf-8").splitlines()
    for function in ("drift", "running"):
        above = source[: source.index(f"def {function}(")].rstrip().splitlines()[-1]
        found = re.match(rf"# {name}\.hjb:(\d+)  (.*)", above)
        assert found is not None
        assert listed[int(found[1]) - 1].strip() == found[2]
    assert len([line for line in source.splitlines() if line.strip() and not line.startswith(f"# {name}.hjb:")]) <= 350


@pytest.mark.slow
def test_names_that_the_program_has_for_itself_are_spelled_apart() -> None:
    source = uses.compile_solver(pipeline.loads(NAMES, path="names.hjb"), "neural").source
    compile(source, "names.py", "exec")
    space: dict[str, Any] = {"__name__": "standalone"}
    default = torch.get_default_dtype()
    try:
        exec(source, space)  # the program that was just written, without its main part
        moved = space["drift"](torch.zeros(2), torch.ones(2, 2), torch.full((2, 2), 0.5))
    finally:
        torch.set_default_dtype(default)
    assert moved.tolist() == [pytest.approx([0.5 - 0.4, 0.5])] * 2


@pytest.mark.parametrize(
    ("name", "reason"), [("log_regimes", "modes"), ("gambler", "exits"), ("black_scholes_digital", "smooth")]
)
def test_what_cannot_be_written_is_refused_with_a_reason(name: str, reason: str) -> None:
    with pytest.raises(NoMethodError, match=reason):
        source_of(name)


@pytest.mark.slow
def test_the_program_of_the_regulator_comes_within_a_percent(tmp_path: Path) -> None:
    """rho P = q + 2 alpha P - beta² P²/r_a; V = -P x²/2 - sigma² P/(2 rho), a = -beta P x/r_a."""
    alpha, price, rho, sigma = -0.5, 0.1, 0.1, 0.3
    P = price * (2 * alpha - rho + math.sqrt((rho - 2 * alpha) ** 2 + 4 / price)) / 2
    table = rows(source_of("lqr"), tmp_path)
    for x in (-2.0, 0.0, 2.0):
        value, control, residual = table[f"{x:g}"]
        assert value == pytest.approx(-P * x * x / 2 - sigma**2 * P / (2 * rho), rel=0.01)
        assert control == pytest.approx(-P * x / price, rel=0.01, abs=0.02)
        assert residual < 1e-2


@pytest.mark.slow
def test_the_program_of_a_power_utility_comes_within_a_percent(tmp_path: Path) -> None:
    """Merton (1969): pi = (mu - r)/(gamma sigma²), k = (rho - (1 - gamma) M)/gamma, V = k^-gamma x^(1 - gamma)/(1 - gamma). Its
    equation has solutions that grow faster and leave no defect."""
    r, mu, sigma, gamma, rho = 0.03, 0.08, 0.2, 2.0, 0.05
    k = (rho - (1 - gamma) * (r + (mu - r) ** 2 / (2 * gamma * sigma**2))) / gamma
    source = uses.compile_solver(pipeline.load(str(PROBLEMS / "merton.hjb")), "neural").source
    assert "S S' grad log V_k" in source
    table = rows(source.replace("ROUNDS, SETTLED = 14", "ROUNDS, SETTLED = 3"), tmp_path)
    for x in (0.5, 2.75, 5.0):
        value, risky, consumed, residual = table[f"{x:g}"]
        assert value == pytest.approx(k**-gamma * x ** (1 - gamma) / (1 - gamma), rel=0.01)
        assert risky == pytest.approx((mu - r) / (gamma * sigma**2), rel=0.06)
        assert consumed == pytest.approx(k, rel=0.02)
        assert residual < 2e-2


@pytest.mark.slow
def test_the_program_of_a_cost_to_the_end_comes_within_a_percent(tmp_path: Path) -> None:
    """dx = a dt + s dW, minimise E int_0^1 a² + x(1)²: V = P x² + s² int P, P = 1/(2 - t); at t = 0, int P = log 2."""
    text = """\
param s = 0.5
state x in R
control a in R
noise W
dx = a dt + s dW
minimize E [ integral(0, 1) a^2 dt + x(1)^2 ]
region x in [-1, 1]
"""
    source = uses.compile_solver(pipeline.loads(text, path="end.hjb"), "neural").source
    shorter = source.replace("ROUNDS, SETTLED = 14", "ROUNDS, SETTLED = 4")
    shorter = shorter.replace("SAMPLES, HELD_OUT = 2000", "SAMPLES, HELD_OUT = 800")
    assert shorter.count("SAMPLES, HELD_OUT = 800") == 1
    table = rows(shorter, tmp_path)
    cells = table["0"]  # the last row: t = 0, x = 1
    assert cells[0] == 1.0
    assert cells[1] == pytest.approx(0.5 + 0.25 * math.log(2.0), rel=0.01)
    assert cells[2] == pytest.approx(-0.5, rel=0.01)


def test_the_program_of_many_states_has_the_coefficients_of_the_file() -> None:
    """LQG in 50 states: dx = 2 u dt + sqrt(2) dW, |u|², so that u* = -DV; a step of its descent lowers the loss."""
    text = (
        "param n = 50, b = 2\nstate x in R^n\ncontrol u in R^n\nnoise W in R^n\ndx = b*u dt + sqrt(2) dW\n"
        "minimize E [ integral(0, 1) |u|^2 dt + log((1 + |x(1)|^2)/2) ]\n"
    )
    source = uses.compile_solver(pipeline.loads(text, path="many.hjb"), "neural").source
    assert "# many.hjb:5  dx = b*u dt + sqrt(2) dW\ndef drift(" in source
    assert len([line for line in source.splitlines() if line.strip() and not line.startswith("# many.hjb:")]) <= 300
    space: dict[str, Any] = {"__name__": "standalone"}
    exec(source, space)  # the program that was just written, without its main part
    t, x, p = torch.zeros(3), torch.randn(3, 50), torch.randn(3, 50)
    assert torch.equal(space["optimal"](t, x, t, p), -p)
    assert torch.equal(space["drift"](t, x, p), 2.0 * p)
    assert torch.allclose(space["noise"](t, x, p), math.sqrt(2.0) * p)
    assert torch.allclose(space["cost_at_end"](x), torch.log((1.0 + x.square().sum(1)) / 2.0))
    generator = torch.Generator().manual_seed(0)
    data, _ = space["round_of_paths"](space["Policy"](None, math.inf), 64, torch.zeros(0, 50), generator)
    # without effort what follows is g(X(1)), and its derivative along the path that of g there
    ends = torch.exp(data[2][-64:]) * 2.0 - 1.0
    assert torch.allclose((data[3][-64:].norm(dim=1) * (1.0 + ends) / 2.0) ** 2, ends, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("finite", [True, False])
def test_the_program_of_four_states_comes_within_a_percent(finite: bool, tmp_path: Path) -> None:
    source = uses.compile_solver(pipeline.loads(FINITE if finite else DISCOUNTED, path="four.hjb"), "neural").source
    shorter = source.replace("ROUNDS, PATHS, STEPS = 160", "ROUNDS, PATHS, STEPS = 40")
    shorter = shorter.replace("MEASURED = 2000", "MEASURED = 400")
    (tmp_path / "train.py").write_text(shorter)
    run = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=280)
    P, c = riccati(EFFORT if finite else np.eye(4), 1.0 if finite else 60.0, 0.7 * np.eye(4) if finite else np.zeros((4, 4)),
                   0.0 if finite else 0.4)  # fmt: skip
    lines = run.stdout.splitlines()
    start = next(k for k, line in enumerate(lines) if line.split()[-1:] == ["controls"])
    for line, x in zip(lines[start + 1 : start + 3], (np.zeros(4), -np.ones(4)), strict=True):
        value = float(re.split(r"\s{2,}", line)[2 if finite else 1])
        assert abs(value) == pytest.approx(x @ P @ x + c, rel=0.01)
