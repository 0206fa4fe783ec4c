"""`hjb compile --method grid`: the program runs by itself and prints the numbers of `hjb solve`.

HJB_UPDATE_GOLDEN=1 rewrites the golden source.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hjbdsl import pipeline, uses
from hjbdsl.codegen.pruning import pruned
from hjbdsl.errors import UsageError
from hjbdsl.io.text import report
from tests.methods.grid.test_torn import CARRIED

GOLDEN = Path(__file__).parent / "golden" / "regulator_solver.py.txt"

REGULATOR = """\
problem regulator "a regulator whose effort is bounded"
param q = 1 "price of being off", sigma = 0.3, rho = 0.1
state x in R
control a in [-1, 1]
noise W
dx = (a - 0.5*x) dt + sigma dW
minimize E integral(0, inf) exp(-rho*t)*(q*x^2 + a^2) dt
region x in [-2, 2]
solve grid(nx = 65)
"""
CONSUMPTION = """\
param rho = 0.05, r = 0.03, mu = 0.08, sigma = 0.3, gamma = 2
state x > 0
control k in [0.01, 0.2], w in [0, 1]
noise W
dx = x*(r + w*(mu - r) - k) dt + w*sigma*x dW
maximize E integral(0, inf) exp(-rho*t)*(k*x)^(1 - gamma)/(1 - gamma) dt
region x in [0.5, 3]
solve grid(nx = 65)
"""
STOPPING = """\
state x in R
noise W
dx = -0.5*x dt + 0.4 dW
stopping tau in [0, inf]
maximize E exp(-0.1*tau)*max(x(tau) - 0.2, 0)
region x in [-1, 1.5]
solve grid(nx = 65)
"""
MODES = """\
mode z in {calm, wild}
rate calm -> wild = 0.4, wild -> calm = 0.7
param s(z) = {calm: 0.2, wild: 0.6}
state x in R
control a in R
noise W
dx = (a + x*0.1) dt + s(z) dW
minimize E integral(0, inf) exp(-0.2*t)*(x^2 + a^2) dt
region x in [-1, 1]
solve grid(nx = 65)
"""
JUMPS = """\
state x in R
control a in [-1, 1]
noise W
jump N rate 0.5 mark J ~ normal(0.2, 0.09)
dx = a dt + 0.4 dW + J dN
minimize E integral(0, inf) exp(-0.3*t)*(x^2 + 0.5*a^2) dt
region x in [-1, 1]
solve grid(nx = 65)
"""
FINITE = """\
state x in R
control a in [-1, 1]
noise W
dx = a dt + 0.5 dW
minimize E [ integral(0, 1) (x^2 + 0.2*a^2) dt + x(1)^2 ]
region x in [-1, 1]
solve grid(nx = 65, nt = 80)
"""
AVERAGE = """\
state x in R
control a in [-1, 1]
noise W
dx = a dt + 0.5 dW
minimize average x^2 + 0.3*a^2
region x in [-1, 1]
solve grid(nx = 65)
"""
PLANE = """\
param theta = 0.4
state x in R, y in R
control a in [-1, 1], b in [-1, 1]
noise W, B
dW dB = 0.5 dt
dx = (a - theta*y) dt + 0.5 dW
dy = (b + theta*x) dt + 0.5 dB
minimize E integral(0, inf) exp(-0.5*t)*(x^2 + y^2 + 0.3*(a^2 + b^2)) dt
region x in [-1, 1], y in [-1, 1]
solve grid(nx = 33)
"""
DISC = """\
state x in R, y in R
control a in [-1, 1]
noise W, B
dx = (a + 0.4) dt + dW
dy = dB
exit tau when x^2 + y^2 >= 1
maximize E tau
region x in [-1, 1], y in [-1, 1]
solve grid(nx = 33)
"""
PLANE_IN_TIME = """\
state x in R, y in R
control a in [-1, 1]
noise W, B
dx = (y + a) dt + 0.4 dW
dy = -0.5*x dt + 0.4 dB
minimize E [ integral(0, 0.5) (x^2 + y^2 + a^2) dt ]
region x in [-1, 1], y in [-1, 1]
solve grid(nx = 33)
"""
REACH = """\
state x in R
control a in [-1, 1]
dx = 0.5*x + a dt
maximize running_min(0, 1) 1 - |x|
region x in [-2, 2]
solve grid(nx = 65)
""".replace("0.5*x + a dt", "(0.5*x + a) dt")
GROWING = """\
state   x > 0
noise   W
dx = 1.5*(0.06 - x) dt + 0.3*sqrt(x) dW
discount x
evaluate E max(x(1) - 0.05, 0)
region  x in [0.02, 0.15]
solve grid(nx = 65)
"""
TARGET = """\
state   x in R, v in R
control a in [-1, 1]
dx = v dt
dv = a dt
exit tau when x == 0 and v == 0
minimize tau
region x in [-1, 1], v in [-1, 1]
solve grid(nx = 33)
"""
PURSUIT = """\
param va = 5, vb = 4, wa = 1, wb = 1.1, R = 1.5, T = 0.4
state     x in R, y in R, psi in circle
control   a in [-wa, wa]
adversary b in [-wb, wb]
dx = (-va + vb*cos(psi) + a*y) dt
dy = (vb*sin(psi) - a*x) dt
dpsi = (b - a) dt
maximize running_min(0, T) sqrt(x^2 + y^2) - R
region x in [-4, 6], y in [-4, 4]
solve grid(nx = 33)
"""
AMERICAN = """\
param r = 0.05, sigma = 0.3, K = 40, T = 0.7
state x > 0 "stock price"
noise W
dx = r*x dt + sigma*x dW
stopping tau in [0, T]
maximize E exp(-r*tau)*max(K - x(tau), 0)
region x in [25, 60]
solve grid(nx = 129)
"""
INCOME = """\
param gamma = 2, rho = 0.05, r = 0.03
mode  z in {low, high}
rate  low -> high = 0.6, high -> low = 0.5
param y(z) = {low: 0.5, high: 1.2}
state   a >= -0.2 "assets"
control c >= 0
da = (r*a + y(z) - c) dt
maximize E integral(0, inf) exp(-rho*t)*c^(1 - gamma)/(1 - gamma) dt
region a in [-0.2, 1.5]
solve grid(nx = 129)
"""
GIBBS = """\
param lam = 0.1
state   x in R
control a in [-1, 1.5]
noise   W
dx = (-0.2*x^3 + a) dt + 0.4 dW
explore a with temperature lam
minimize E integral(0, inf) exp(-0.4*t)*(x^2 + 0.3*a^2) dt
region x in [-1, 1]
solve grid(nx = 65)
"""
GAME = """\
param alpha = 0.2, ka = 1, kb = 0.7, q = 1, r = 0.5, m = 1.8, sigma = 0.3, rho = 0.5
state     x in R
control   a in [-5, 5]
adversary b in [-4, 4]
noise     W
dx = (alpha*x + ka*a + kb*b) dt + sigma dW
minimize E integral(0, inf) exp(-rho*t)*(q*x^2 + r*a^2 - m*b^2) dt
region x in [-1, 1]
solve grid(nx = 65)
"""
QUOTES = """\
param   A = 1.2, k = 1.3, phi = 0.1, sigma = 0.4, rho = 0.3
state   q in {-2..2} "inventory", s in R "price"
control bid in [0, 3], ask in [0, 3]
noise   W
jump    B rate A*exp(-k*bid)*indicator(q < 2)
jump    S rate A*exp(-k*ask)*indicator(q > -2)
ds = -0.5*s dt + sigma dW
dq = dB - dS
maximize E integral(0, inf) exp(-rho*t)*(-phi*q^2 + q*s + A*exp(-k*bid)*bid + A*exp(-k*ask)*ask) dt
region  s in [-1, 1]
solve grid(nx = 65)
"""
UNCERTAIN = """\
param r = 0.04, s0 = 0.15, s1 = 0.3, T = 0.6
let pay(y) = max(y - 90, 0) - max(y - 110, 0)
state   x > 0
control s in [s0, s1]
noise   W
dx = r*x dt + s*x dW
maximize E exp(-r*T)*pay(x(T))
region x in [80, 120]
solve grid(nx = 129)
"""
RISK = """\
param b = 1, q = 1, r = 0.5, s = 0.4, theta = 0.8, T = 1
state   x in R
control a in [-1, 1]
noise   W
dx = b*a dt + s dW
minimize risk(theta) [ integral(0, T) (q*x^2 + r*a^2)/2 dt ]
region  x in [-1, 1]
solve grid(nx = 65)
"""
ANGLE = """\
state   theta in circle
control u in [-1, 1]
noise   W
dtheta = (0.5*sin(theta) + u) dt + 0.4 dW
minimize E integral(0, inf) exp(-0.4*t)*(1 - cos(theta) + 0.3*u^2) dt
solve grid(nx = 65)
"""
CORRELATED = """\
param T = 0.8, s1 = 0.5, s2 = 0.35, rho = -0.4
state x in R, y in R
control a in R, b in [-2, 2]
noise W, B
dW dB = rho dt
dx = (-0.2*x + 0.5*y + a) dt + s1 dW
dy = (0.3*x - 0.4*y + 0.8*b) dt + s2 dB
minimize E [ integral(0, T) (x^2 + 0.5*y^2 + 0.7*a^2 + 0.4*b^2) dt + 0.6*x(T)^2 + y(T)^2 ]
region x in [-1, 1], y in [-1, 1]
solve grid(nx = 33)
"""
RUIN = """\
state x in R "reserves"
control u in [0, 1]
jump N rate 0.8 mark J ~ exponential(2)
noise W
dx = (1 - u) dt + 0.2 dW - J dN
exit tau when x <= 0
maximize E integral(0, tau) exp(-0.1*t)*u dt
region x in [0, 4]
solve grid(nx = 65)
"""
REGULATED = """\
param T = 1.5
state   x in R, v in R
control a in R
dx = v dt
dv = a dt
minimize integral(0, T) (x^2 + 0.3*v^2 + 0.5*a^2) dt + x(T)^2 + 0.5*v(T)^2
region x in [-1, 1], v in [-1, 1]
solve grid(nx = 33)
"""
PULSE = """
state x in R
dx = -x dt
evaluate E integral(0, 1) 50*exp(-((t - 0.371)/0.02)^2)*x dt
region x in [1, 2]
"""
KINDS = {
    "carried": CARRIED, "pulse": PULSE,
    "consumption": CONSUMPTION, "stopping": STOPPING, "modes": MODES, "jumps": JUMPS, "finite": FINITE, "average": AVERAGE,
    "plane": PLANE, "disc": DISC, "plane_in_time": PLANE_IN_TIME, "reach": REACH, "growing": GROWING, "target": TARGET,
    "pursuit": PURSUIT, "american": AMERICAN, "income": INCOME, "gibbs": GIBBS, "game": GAME, "quotes": QUOTES,
    "uncertain": UNCERTAIN, "risk": RISK, "angle": ANGLE, "correlated": CORRELATED, "ruin": RUIN, "regulated": REGULATED,
}  # fmt: skip

ALONE = """\
import runpy, sys
class Only:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {"numpy", "numba", "llvmlite"}:
            raise ImportError(name)
sys.meta_path.insert(0, Only())
sys.argv = ["solver.py"]
runpy.run_path("solver.py", run_name="__main__")
"""


def printed(text: str, folder: Path) -> tuple[list[str], list[str]]:
    """What the program prints in a folder of its own, where there is no hjbdsl; and the table of the same answer, without the
    errors of controls, which a program does not tell."""
    worked = pipeline.worked_out(pipeline.loads(text, path="p.hjb"), pipeline.Request("grid"))
    compiled = uses.compile_solver(worked.equation.problem, "grid")
    imported = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
                for node in ast.walk(ast.parse(compiled.source)) if isinstance(node, ast.Import | ast.ImportFrom)}  # fmt: skip
    own = {"__future__", "math", "collections.abc", "dataclasses", "itertools", "types", "typing"}
    assert imported - own == {"numpy", "numba"}
    (folder / "solver.py").write_text(compiled.source, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-c", ALONE],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    entries = [{key: value for key, value in entry.items() if key != "control_error"} for entry in worked.result["value"]]
    return run.stdout.splitlines()[:-1], report(worked.result | {"value": entries}, 0.0).splitlines()


def same(program: str, answer: str) -> bool:
    """The same words; numbers alike to the digits printed, one unit of the last one allowed. Controls stand with more digits than
    the iteration leaves certain: 5e-5 of them, and nothing below 1e-6."""
    ours, theirs = program.split(), answer.split()
    return len(ours) == len(theirs) and all(a == b or near(a, b) for a, b in zip(ours, theirs, strict=True))


def near(a: str, b: str) -> bool:
    try:
        x, y = float(a), float(b)
    except ValueError:
        return False
    digits = len(re.sub(r"e.*|\D", "", a).lstrip("0"))
    return abs(x - y) <= max(1e-6, max(5e-5, 1.01 * 10.0 ** (1 - digits)) * max(abs(x), abs(y)))


def assert_same_table(text: str, folder: Path) -> None:
    program, answer = printed(text, folder)
    assert len(program) > 2
    for line in program:
        if not line.startswith("average"):
            assert any(same(line, other) for other in answer), f"{line!r} is not in\n" + "\n".join(answer)


@pytest.mark.slow
def test_the_program_of_a_regulator_prints_the_numbers_of_solve(tmp_path: Path) -> None:
    assert_same_table(REGULATOR, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_program_prints_the_numbers_of_solve(kind: str, tmp_path: Path) -> None:
    assert_same_table(KINDS[kind], tmp_path)


def test_the_source_is_the_golden_one() -> None:
    source = uses.compile_solver(pipeline.loads(REGULATOR, path="regulator.hjb"), "grid").source
    source = re.sub(r"^FLOOR = \S+", "FLOOR = ...", source, flags=re.MULTILINE)
    if os.environ.get("HJB_UPDATE_GOLDEN"):
        GOLDEN.write_text(source, encoding="utf-8")
    assert source == GOLDEN.read_text(encoding="utf-8"), "HJB_UPDATE_GOLDEN=1 rewrites it"


def test_a_program_holds_nothing_that_it_does_not_use() -> None:
    source = uses.compile_solver(pipeline.loads(REGULATOR, path="regulator.hjb"), "grid").source
    assert pruned(source, ()) == source
    assert "if False" not in source
    assert not re.search(r"\b(EXIT|SHOWN|stopped|logarithmic|circle)\b", source.partition("AXES = (")[2])


@pytest.mark.slow
def test_no_constant_of_a_program_takes_the_name_of_another() -> None:
    """The kernels' constants stand beside those of the solver around them."""
    source = uses.compile_solver(pipeline.loads(REGULATOR.replace("inf", "1"), path="regulator.hjb"), "grid").source
    targets = [node.targets[0] for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    assert "STEPS" in names
    assert len(names) == len(set(names))


def test_blocks_cite_the_lines_of_the_file() -> None:
    source = uses.compile_solver(pipeline.loads(REGULATOR, path="regulator.hjb"), "grid").source
    above = source[: source.index("def coefficients(")].rstrip().splitlines()[-3:]
    assert above[0] == "# regulator.hjb:7  minimize E integral(0, inf) exp(-rho*t)*(q*x^2 + a^2) dt"
    assert above[1] == "# regulator.hjb:6  dx = (a - 0.5*x) dt + sigma dW"
    assert "rho = 0.1  # regulator.hjb:2" in source


@pytest.mark.slow
def test_a_parameter_changed_in_the_program_is_a_parameter_changed_in_the_file(tmp_path: Path) -> None:
    """The meshes stay those of the first parameters, so the answers agree within their errors."""
    source = uses.compile_solver(pipeline.loads(REGULATOR, path="p.hjb"), "grid").source
    (tmp_path / "solver.py").write_text(re.sub(r"^q = 1.0", "q = 2.0", source, flags=re.MULTILINE), encoding="utf-8")
    run = subprocess.run([sys.executable, "solver.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=280)
    row = next(line.split() for line in run.stdout.splitlines() if line.split()[0] == "2")
    worked = pipeline.worked_out(pipeline.loads(REGULATOR, {"q": "2"}), pipeline.Request("grid"))
    entry = next(entry for entry in worked.result["value"] if entry["at"]["x"] == 2)
    assert abs(float(row[1]) - entry["V"]) <= float(row[2]) + entry["error"]


def test_other_methods_are_refused() -> None:
    with pytest.raises(UsageError, match="no compiler"):
        uses.compile_solver(pipeline.loads(REGULATOR), "closed_form")
