"""Top floor: the `hjb` command. In: an argument vector. Out: an exit status, and never a traceback.

    0 done, every check holds    1 a check or the tolerance failed    2 usage    3 the file is wrong
    4 no method applies          5 a solver failed                    130 interrupted

A command's module is imported when the command is called, so that `hjb --help` starts at once.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any, NoReturn

import click

from hjbdsl.budget import BudgetExceeded
from hjbdsl.errors import HjbError, NoMethodError, SolverError, UsageError

COMMANDS: tuple[tuple[str, str], ...] = (
    ("check", "Read files and report every mistake in them."),
    ("derive", "Derive the Hamilton-Jacobi-Bellman equation, step by step on request."),
    ("solve", "Solve a problem: value, optimal control, and what they are worth."),
    ("simulate", "Paths under the optimal policy, and what they earn beside V."),
    ("verify", "Hold an answer against simulation and its equation: a two-sided bracket."),
    ("learn", "Learn value and policy from transitions alone, beside the model."),
    ("sample", "Draw from a generative problem: the reverse process from noise to data."),
    ("compile", "Write a standalone program that solves one problem."),
    ("plot", "Draw a result: value, policy, paths, convergence."),
    ("fmt", "Rewrite files in the one canonical form, in place."),
    ("new", "Write a started problem file."),
    ("gallery", "List the problems that come with hjb, or copy one."),
    ("doctor", "Say what is installed and whether it works."),
)
"""Name of the module in this folder, and its line of help."""

STATUSES: tuple[tuple[str, str], ...] = (
    ("0", "done, and every check holds"),
    ("1", "a check or the tolerance failed, or a file is not canonical"),
    ("2", "the command line is wrong"),
    ("3", "the file is wrong"),
    ("4", "no method applies"),
    ("5", "a solver failed"),
    ("130", "interrupted"),
)
"""Exit statuses, as `hjb --help` lists them."""

EXIT_CHECK_FAILED, EXIT_USAGE, EXIT_FILE, EXIT_NO_METHOD, EXIT_SOLVER, EXIT_INTERRUPTED = 1, 2, 3, 4, 5, 130


class LazyCommands(click.Group):
    """The commands of `COMMANDS`, each imported on its first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return [name for name, _ in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in dict(COMMANDS):
            return None
        command: click.Command = import_module(f"hjbdsl.cli.{cmd_name}").run
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS))
        with formatter.section("Exit status"):
            formatter.write_dl(list(STATUSES))


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from hjbdsl import __version__  # noqa: PLC0415 (asked for seldom)

        click.echo(f"hjb {__version__}")
        ctx.exit()


@click.group(
    cls=LazyCommands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version.")
def hjb() -> None:
    """Stochastic control from the blackboard to a proved answer."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit status: as the program where `arguments` is None, else by `SystemExit`."""
    if arguments is not None:
        sys.exit(_status(list(arguments)))
    # a short process that only allocates, 330 000 objects by its modules alone, and none of them garbage
    gc.set_threshold(500_000, 20, 20)
    _leave(_roomy(sys.argv[1:]))


def _roomy(arguments: list[str]) -> int:
    """`_status`, on one stretch of Python's own stack."""
    return _status(arguments)


# Python keeps the frames of calls on stretches of 16 KB, asks the system for another one when a call crosses the end of one, and
# gives it back when that call returns: a loop at such a depth spends its time there, a fifth of a start (CPython, issue 142183,
# repaired in late versions of 3.13). A frame that claims to need 1 MB, of which it touches nothing, gets a stretch of 2 MB, on
# which every call made from it finds room.
_roomy.__code__ = _roomy.__code__.replace(co_stacksize=2**17)


def _leave(status: int) -> NoReturn:
    """What the interpreter does on its way out, save taking apart, one by one, the modules that end with the process."""
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError as error:
        os.write(2, f"the answer could not be written: {error.strerror}\n".encode())
        os._exit(EXIT_SOLVER)
    os._exit(status)


def _status(arguments: list[str]) -> int:
    """The exit status of one command, its surroundings set up."""
    # threads of linear algebra wait for one another by spinning: on a busy machine small matrices take ten times as long
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader that has gone away ends us quietly, as it ends any other tool
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    return _run(arguments)


def _run(arguments: list[str]) -> int:
    try:
        returned = hjb.main(arguments, prog_name="hjb", standalone_mode=False)
        return returned if isinstance(returned, int) else 0
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except (Exception, BudgetExceeded) as error:
        return _reported(error, "--json" in arguments)


def _reported(error: BaseException, as_json: bool) -> int:
    """Print what went wrong, on stderr or as the JSON object that was asked for; returns the exit status."""
    status, message, details = _described(error)
    if as_json:
        click.echo(json.dumps({"ok": False, "status": status, "error": message, **details}, ensure_ascii=False))
    if not (as_json and status == EXIT_FILE):
        click.echo(message, err=True)
    if os.environ.get("HJBDSL_DEBUG"):
        raise error
    return status


def _described(error: BaseException) -> tuple[int, str, dict[str, Any]]:
    match error:
        case HjbError():
            return EXIT_FILE, str(error), {"diagnostics": [d.as_json() for d in error.diagnostics]}
        case NoMethodError():
            lines = "\n".join(f"  {name}: {reason}" for name, reason in error.reasons.items())
            return EXIT_NO_METHOD, f"no method applies\n{lines}", {"diagnostics": [], "reasons": error.reasons}
        case UsageError():
            return EXIT_USAGE, f"usage: {error}", {"diagnostics": []}
        case SolverError():
            return EXIT_SOLVER, f"the solver failed: {error}", {"diagnostics": []}
        case BudgetExceeded():
            return EXIT_SOLVER, "the solver failed: it was given up after its time budget", {"diagnostics": []}
        case MemoryError() | RecursionError():
            kind = "memory" if isinstance(error, MemoryError) else "stack depth"
            return EXIT_SOLVER, f"the problem is too large: {kind} ran out", {"diagnostics": []}
        case click.exceptions.NoArgsIsHelpError():
            return EXIT_USAGE, error.format_message(), {"diagnostics": []}
        case click.ClickException():
            context = getattr(error, "ctx", None)
            hint = f"\ntry `{context.command_path} --help`" if context is not None else ""
            return EXIT_USAGE, f"usage: {error.format_message()}{hint}", {"diagnostics": []}
        case OSError():
            return EXIT_USAGE, f"usage: {error.strerror or error}: {error.filename or ''}".rstrip(": "), {"diagnostics": []}
        case _:
            first = (str(error).splitlines() or [""])[0][:200]
            advice = "this is a bug of hjb; HJBDSL_DEBUG=1 shows where, please report it with the file"
            return EXIT_SOLVER, f"internal error: {type(error).__name__}: {first}\n{advice}", {"diagnostics": []}
