"""How a result looks: plain text off a terminal, the same text with a little colour on one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from hjbdsl.io.text import explanation, report

_STYLES = (
    (r"^(HJB|Optimum|Methods|checks)\b", "bold cyan"),
    (r"^(Closed form|Grid|Neural network), \w+", "bold green"),
    (r"✓", "bold green"),
    (r"✗.*$", "bold red"),
    (r"^warning:.*$", "yellow"),
)


def show(result: Mapping[str, Any], seconds: float, quiet: bool) -> None:
    """Print the report of a solve on standard output."""
    text = report({**result, "warnings": []} if quiet else result, seconds)
    if "explain" in result:
        text += "\n\n" + explanation(result["explain"])
    if sys.stdout is None or not sys.stdout.isatty():
        typer.echo(text)
        return
    from rich.console import Console  # noqa: PLC0415 (on a terminal only)
    from rich.text import Text  # noqa: PLC0415

    styled = Text(text)
    for pattern, style in _STYLES:
        styled.highlight_regex(f"(?m){pattern}", style)
    Console(highlight=False).print(styled, soft_wrap=True)


@contextmanager
def spinner() -> Iterator[Callable[[str], None]]:
    """A line on stderr that turns while work goes on; the function it gives names the stage."""
    from rich.console import Console  # noqa: PLC0415 (on a terminal only)

    with Console(stderr=True).status("reading") as status:
        yield status.update
