"""How a result looks: plain text off a terminal, the same text with a little colour on one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

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
        click.echo(text)
        return
    from rich.console import Console  # noqa: PLC0415 (on a terminal only)
    from rich.text import Text  # noqa: PLC0415

    styled = Text(text)
    for pattern, style in _STYLES:
        styled.highlight_regex(f"(?m){pattern}", style)
    Console(highlight=False).print(styled, soft_wrap=True)


@contextmanager
def progress_bar() -> Iterator[Callable[[str], None]]:
    """A line on stderr while work goes on: the stage, how much is done, and the numbers that the method reports. The function it
    gives names the stage."""
    from rich.console import Console  # noqa: PLC0415 (on a terminal only)
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from hjbdsl.progress import Progress as Report  # noqa: PLC0415
    from hjbdsl.progress import listening  # noqa: PLC0415

    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("[dim]{task.fields[numbers]}"),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task("reading", total=None, numbers="")

        def stage(name: str) -> None:
            bar.update(line, description=name, total=None, numbers="")

        def listen(said: Report) -> None:
            total = None if said.done is None else 1.0
            bar.update(line, description=said.stage, numbers=_numbers(said.numbers), total=total, completed=said.done)

        with listening(listen):
            yield stage


def _numbers(numbers: Mapping[str, float]) -> str:
    return "  ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in numbers.items())
