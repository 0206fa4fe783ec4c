"""`hjb check`: diagnostics as the contract has them, and no input that ends in anything else."""

from __future__ import annotations

import resource

import pytest

from .conftest import REGULATOR, ROOT


def test_a_good_file(hjb, regulator):
    run = hjb("check", regulator, "--json")
    assert run.status == 0
    result = run.json
    assert result["ok"] is True
    assert (result["states"], result["controls"], result["kind"], result["dimension"]) == (["x"], ["a"], "infinite_horizon", 1)
    assert result["diagnostics"] == []
    assert "regulator.hjb: ok" in hjb("check", regulator).out


def test_all_errors_of_a_file_in_one_run(hjb, tmp_path):
    (tmp_path / "bad.hjb").write_text(REGULATOR.replace("q*x^2", "qq*x^2").replace("dx = a dt", "dx = aa dt"))
    run = hjb("check", "bad.hjb", "--json")
    assert run.status == 3
    assert run.json["ok"] is False
    assert sorted(d["line"] for d in run.json["diagnostics"]) == [5, 6]
    for found in run.json["diagnostics"]:
        assert set(found) >= {"severity", "code", "line", "column", "length", "message", "help"}
    text = hjb("check", "bad.hjb")
    assert text.status == 3
    assert "2 errors" in text.out
    assert "^" in text.out


def test_several_files(hjb, regulator, tmp_path):
    (tmp_path / "bad.hjb").write_text("state x in\n")
    run = hjb("check", regulator, "bad.hjb", "--json")
    assert run.status == 3
    assert [entry["ok"] for entry in run.json["files"]] == [True, False]
    assert hjb("check", regulator, regulator).status == 0


def test_standard_input(hjb):
    assert hjb("check", "-", given=REGULATOR).status == 0
    assert hjb("check", "-", "--json", given="state x in\n").status == 3


def test_an_override_can_make_a_problem_ill_posed(hjb, tmp_path):
    text = hjb("gallery", "merton").out.splitlines()
    (tmp_path / "merton.hjb").write_text("\n".join(line for line in text if not line.startswith("check")))
    assert hjb("check", "merton.hjb").status == 0
    run = hjb("check", "merton.hjb", "--json", "--set", "gamma=0.4", "--set", "rho=0.02")
    assert run.status == 3, run.out
    assert "gamma" in run.json["diagnostics"][0]["message"] + run.json["diagnostics"][0]["help"]


HOSTILE = {
    "empty": b"",
    "nul": b"\x00" * 1000,
    "random": bytes(range(256)) * 40,
    "one_line_of_a_megabyte": b"param a = " + b"1+" * 500_000 + b"1\n",
    "lines": b"param a = 1\n" * 100_000,
    "brackets": b"param a = " + b"(" * 5000 + b"1" + b")" * 5000 + b"\n",
    "open_brackets": b"[" * 100_000,
    "tower": b"param a = 9^9^9^9\nstate x in R\ncontrol a in R\n",
    "tower_of_floats": REGULATOR.replace("q = 4", "q = (1e300^1e300)^9").encode(),
    "wide": REGULATOR.replace("state x in R", "state x in R^100000000").encode(),
    "huge_matrix": b"param A = ones(100000, 100000)\n",
    "comprehension": b"param a = sum(sum(sum(i*j*k for k in 1..9999) for j in 1..9999) for i in 1..9999)\n",
    "python": b"param a = __import__('os').system('touch /tmp/owned')\n",
    "dunder": b"param __class__ = 1, __import__ = 2\nlet f(x) = x.__class__\n",
    "names": b"param " + b"a" * 1_000_000 + b" = 1\n",
    "minus": b"param a = " + b"-" * 100_000 + b"1\n",
    "powers": b"param a = " + b"2^" * 10_000 + b"2\n",
    "division": REGULATOR.replace("q = 4", "q = 1/0").encode(),
    "lets": b"let a = a + 1\nlet f(x) = f(f(x))\n",
    "doubling": b"".join(b"let f%d(x) = f%d(x)*f%d(x)\n" % (i + 1, i, i) for i in range(60)),
    "decimals": b"param a = 0." + b"1" * 200_000 + b"\n",
    "exponent": b"param a = 1e999999999999\n",
    "include_itself": b'include "include_itself.hjb"\n',
    "include_device": b'include "/dev/zero"\n',
    "bidi": "param \u0430 = 1 \u202e# \u2066\n".encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_a_diagnostic(hjb, tmp_path, name):
    (tmp_path / f"{name}.hjb").write_bytes(HOSTILE[name])
    for command in ("derive", "solve", "fmt"):
        assert hjb(command, f"{name}.hjb").status == 3 or command == "fmt"


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_take_neither_time_nor_memory(hjb_process, tmp_path, name):
    (tmp_path / f"{name}.hjb").write_bytes(HOSTILE[name])
    run = hjb_process("check", f"{name}.hjb", "--json")  # given up after two minutes
    assert run.status == 3, run.err
    assert run.json["diagnostics"]
    assert all(d["code"] and d["message"] and d["help"] for d in run.json["diagnostics"])
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1_000_000
    assert len(run.out) < 200_000


@pytest.mark.parametrize("given", [b"\xff\xfe", b"problem \xc3("])
@pytest.mark.parametrize("command", ["check", "derive", "solve", "fmt"])
def test_what_is_not_utf8_is_said(hjb, command, given):
    run = hjb(command, "-", given=given)
    assert run.status == 3
    assert "UTF-8" in run.out + run.err


def test_an_infeasible_parameter_is_named_though_the_oracle_is_not_real(hjb):
    """Merton with rho - (1 - gamma)*M < 0: the file's own oracle takes a root of a negative number there."""
    for command in ("check", "solve"):
        run = hjb(command, str(ROOT / "problems" / "merton.hjb"), "--set", "gamma=0.4", "--set", "rho=0.02")
        assert run.status == 3
        assert (run.out + run.err).count("error[") == 1
        assert "error[HJB120]" in run.out + run.err
        assert "`rho`" in run.out + run.err
