"""What holds for every command: statuses, streams, speed of `--help`, and nothing loaded that is not needed."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from hjbdsl import pipeline
from hjbdsl.cli import main as command_line
from hjbdsl.errors import HjbError, NoMethodError, SolverError, UsageError
from hjbdsl.model.solution import Accepted, Rejected

from .conftest import REGULATOR

COMMANDS = [name for name, _ in command_line.COMMANDS]


def test_every_file_of_the_folder_is_a_command_or_shared():
    shared = {"__init__", "main", "options", "answers", "points", "show"}
    files = {path.stem for path in Path(command_line.__file__).parent.glob("*.py")}
    assert files - shared == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_its_options_told(hjb, name):
    run = hjb(name, "--help")
    assert run.status == 0
    assert "Usage: hjb" in run.out
    assert importlib.import_module(f"hjbdsl.cli.{name}").run.__doc__.split(".")[0].split("\n")[0][:40] in run.out


def test_help_says_what_is_written_and_how_a_run_ends(hjb):
    general = hjb("--help").out
    assert "in place" in general
    assert all(f"\n  {status} " in general for status in ("0", "1", "2", "3", "4", "5", "130"))
    for name in ("fmt", "check"):
        assert "......" not in hjb(name, "--help").out
        assert f"hjb {name} [OPTIONS] FILE...\n" in hjb(name, "--help").out
    assert "FILE.nc|json" in hjb("solve", "--help").out


def test_help_lists_the_commands(hjb):
    run = hjb("--help")
    assert run.status == 0
    assert all(name in run.out for name in COMMANDS)


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("--nonsense",), ("check",), ("solve", "missing.hjb"), ("solve", ".")])
def test_misuse_is_status_2(hjb, arguments):
    assert hjb(*arguments).status == 2


def test_the_version(hjb):
    assert hjb("--version").out.startswith("hjb ")


@pytest.mark.parametrize(
    ("error", "status", "needle"),
    [
        (HjbError(()), 3, ""),
        (NoMethodError({"grid": "too many states"}), 4, "too many states"),
        (SolverError("diverged"), 5, "diverged"),
        (UsageError("no such state"), 2, "no such state"),
        (MemoryError(), 5, "memory"),
        (RecursionError(), 5, "too large"),
        (ZeroDivisionError("by zero"), 5, "internal error: ZeroDivisionError: by zero"),
    ],
)
def test_every_error_has_its_status_and_a_word(error, status, needle, capsys):
    assert command_line._reported(error, as_json=False) == status
    assert needle in capsys.readouterr().err


def test_errors_are_objects_where_objects_are_asked_for(capsys):
    assert command_line._reported(NoMethodError({"grid": "no"}), as_json=True) == 4
    assert '"reasons": {"grid": "no"}' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import hjbdsl", ("sympy", "numpy", "click")),
        ("import hjbdsl.cli.main", ("sympy", "numpy", "rich")),
        ("import hjbdsl.cli.solve", ("sympy", "numpy", "rich")),
        ("import hjbdsl.pipeline", ("scipy.integrate", "scipy.optimize", "numba", "torch", "matplotlib")),
    ],
)
def test_nothing_slow_is_loaded_before_it_is_needed(statement, heavy):
    code = f"{statement}; import sys; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_reader_that_goes_away_ends_it_quietly():
    script = f"{sys.executable} -m hjbdsl gallery | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 141)
    assert done.stderr == ""


def test_output_survives_a_terminal_without_unicode(hjb_process, regulator):
    assert hjb_process("solve", regulator, PYTHONIOENCODING="ascii").status == 0


@pytest.mark.parametrize(
    ("arguments", "given", "status"),
    [
        (("solve", "-"), REGULATOR, 0),
        (("solve", "-"), REGULATOR.replace("check a = -", "check a = "), 1),
        (("solve", "-", "--at", "y=1"), REGULATOR, 2),
        (("solve", "-"), REGULATOR.replace("q*x^2", "qq*x^2"), 3),
        (("solve", "-", "--method", "closed_form"), REGULATOR.replace("q*x^2", "exp(x)*(1 + a^4) + q*x^6"), 4),
    ],
)
def test_the_status_reaches_the_shell(hjb_process, arguments, given, status):
    assert hjb_process(*arguments, given=given).status == status


def test_a_method_that_fails_leaves_the_word_to_the_next_and_stands_on_record(monkeypatch):
    """The pipeline's promise behind statuses 4 and 5, with methods that do what they are told."""
    problem = pipeline.loads(REGULATOR)
    equation = pipeline.derive(problem)
    given = pipeline.solve(equation, pipeline.Request(), cached=False)[0]

    def fails(_equation, _request):
        raise ZeroDivisionError("by zero")

    def answers(_equation, _request):
        return pipeline.Reply(Accepted(given))

    def declines(_equation, _request):
        return pipeline.Reply(Rejected("not today"))

    monkeypatch.setattr(pipeline, "METHODS", (("first", fails), ("second", answers)))
    result = pipeline.answer(problem, pipeline.Request(), cached=False)
    assert result["warnings"] == ["first failed: ZeroDivisionError: by zero"]
    assert [entry["accepted"] for entry in result["explain"]] == [False, True]
    monkeypatch.setattr(pipeline, "METHODS", (("first", fails), ("second", declines)))
    with pytest.raises(SolverError, match="by zero"):
        pipeline.solve(equation, pipeline.Request(), cached=False)
    monkeypatch.setattr(pipeline, "METHODS", (("first", declines), ("second", declines)))
    with pytest.raises(NoMethodError, match="not today"):
        pipeline.solve(equation, pipeline.Request(), cached=False)
