"""Options that several commands share, and how their text is read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from hjbdsl.errors import Diagnostic, HjbError, Span, UsageError
from hjbdsl.frontend.source import MAX_BYTES

FILE = click.argument("file", metavar="FILE", help="A .hjb file, or - for standard input.")
FILES = click.argument("files", metavar="FILE...", nargs=-1, required=True, help=".hjb files, or - for standard input.")
SETTINGS = click.option(
    "--set", "settings", multiple=True, metavar="NAME=EXPR", help="Put another value for a parameter; may be repeated."
)
VARIANT = click.option("--variant", metavar="NAME", help="Take the file's variant of this name.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="No progress, no warnings; answers only.")
NO_CACHE = click.option("--no-cache", is_flag=True, help="Work everything out anew.")
OUTPUT = click.option("-o", "--output", metavar="FILE", help="Write to this file.")
OUTPUT_RESULT = click.option(
    "-o", "--output", metavar="FILE.nc|json", help="Write the result to this file: tables (NetCDF) or JSON."
)
SEED = click.option("--seed", default=0, help="Seed of everything random.")
FORCE = click.option("--force", is_flag=True, help="Overwrite an existing file.")


def overrides(settings: Sequence[str] | None) -> dict[str, str]:
    """`["gamma=3"]` -> `{"gamma": "3"}`. The text right of `=` is an expression of the language; the front end reads it."""
    result: dict[str, str] = {}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(f"--set wants NAME=EXPR, as in --set gamma=3; `{setting}` is not of that form")
        result[name.strip()] = value.strip()
    return result


def existing(path: str) -> str:
    """`path`, or `UsageError` where there is no such file."""
    if path != "-" and not Path(path).is_file():
        raise UsageError(f"there is no file `{path}`; `hjb gallery` lists problems to start from")
    return path


def standard_input() -> str:
    """The text on standard input. Raises `HjbError` where it is not UTF-8 or too large, as a file would."""
    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _refused("HJB003", f"the input is too large: more than {MAX_BYTES // 1_000_000} MB", "shorten it", 1, 1)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8").splitlines(keepends=True)
        column = len(before[-1]) + 1 if before and not before[-1].endswith(("\r", "\n")) else 1
        line = len(before) + (column == 1)
        message = f"the input is not UTF-8: byte 0x{content[error.start]:02x} starts no character"
        raise _refused("HJB002", message, "encode it as UTF-8", line, column) from None


def _refused(code: str, message: str, remedy: str, line: int, column: int) -> HjbError:
    return HjbError((Diagnostic(code, message, remedy, Span("<stdin>", line, column)),))


def refuse_overwriting(path: str, force: bool) -> None:
    """`UsageError` where there is such a file already and nobody said `--force`."""
    if not force and Path(path).exists():
        raise UsageError(f"`{path}` exists already; --force overwrites it")


def write_text(path: str, text: str) -> None:
    """Write an answer to a file; `UsageError` where that is impossible."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write `{path}`: {error.strerror}") from error
