"""Where the templates of programs are read: one environment, its own compiled form of them kept beside the generated programs.

In: a template's name. Out: the template, strict about names that nobody gave.
"""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, FileSystemBytecodeCache, PackageLoader, StrictUndefined, Template

from hjbdsl.codegen.store import cache_directory

LOADER = PackageLoader("hjbdsl.codegen")


@cache
def _environment() -> Environment:
    return Environment(
        loader=LOADER, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False, bytecode_cache=FileSystemBytecodeCache(str(cache_directory())),
    )  # fmt: skip


def template(name: str) -> Template:
    """A template of `hjbdsl/codegen/templates`. Raises `jinja2.TemplateNotFound`."""
    return _environment().get_template(name)


@cache
def own_names(prefix: str) -> frozenset[str]:
    """What the templates whose names begin so define or import outside of functions: a parameter so called would replace it."""
    names: set[str] = set()
    for name in LOADER.list_templates():
        if name.startswith(prefix):
            text = LOADER.get_source(_environment(), name)[0]
            names |= set(re.findall(r"^(?:def|class) (\w+)", text, re.MULTILINE))
            for line in re.findall(r"^(\w+(?:, \w+)*)(?:: [^=]+)? = |^(?:from \S+ )?import ([\w, ]+)", text, re.MULTILINE):
                names |= set("".join(line).split(", "))
    return frozenset(names)


__all__ = ["own_names", "template"]
