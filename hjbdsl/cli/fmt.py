"""`hjb fmt FILE...`: the one canonical form, in place."""

from __future__ import annotations

from pathlib import Path

import click

from hjbdsl.cli.options import FILES, QUIET, existing, standard_input, write_text
from hjbdsl.frontend.format import format_file
from hjbdsl.frontend.parse import parse_file, parse_text

_EXIT_NOT_CANONICAL = 1


@click.command()
@FILES
@click.option("--check", is_flag=True, help="Change nothing; fail where a file is not canonical.")
@QUIET
def run(
    files: tuple[str, ...],
    check: bool,
    quiet: bool,
) -> int:
    """Rewrite files in canonical form; `-` reads standard input and prints."""
    changed = 0
    for path in files:
        if path == "-":
            click.echo(format_file(parse_text(standard_input(), "<stdin>")), nl=False)
            continue
        formatted = format_file(parse_file(existing(path)))
        if formatted == Path(path).read_text(encoding="utf-8"):
            continue
        changed += 1
        if not check:
            write_text(path, formatted)
        if not quiet:
            click.echo(f"{path}: {'not canonical' if check else 'rewritten'}", err=True)
    return _EXIT_NOT_CANONICAL if check and changed else 0
