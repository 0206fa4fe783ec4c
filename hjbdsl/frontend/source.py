"""Stage 1, text: from a path to the lines of a file.

In: a path. Out: the text, or `HjbError` with the place of the first bad bytes. Limits keep a hostile file from taking the
machine: they are far above anything written by hand.
"""

from __future__ import annotations

import os
import re

from hjbdsl.errors import Diagnostic, HjbError, Span

MAX_BYTES = 2_000_000
MAX_LINES = 10_000

_LINE_END = re.compile(r"\r\n|\n|\r")


def split_lines(text: str) -> tuple[str, ...]:
    """The lines of a text. Only CR, LF and CRLF end a line: an exotic separator in a comment does not."""
    lines = _LINE_END.split(text.removeprefix("\ufeff"))
    return tuple(lines[:-1] if lines[-1] == "" else lines)


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file.

    Raises HjbError with HJB001 (cannot be read), HJB002 (not UTF-8) or HJB003 (too large).
    """
    name = os.fspath(path)
    try:
        if os.path.exists(name) and not os.path.isfile(name):
            raise _refused("HJB001", f"`{name}` is not a file", "give the path of a .hjb file", Span(name, 1, 1))
        with open(name, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "the path is not valid"
        raise _refused("HJB001", f"cannot read `{name}`: {reason}", "check the path and its permissions", None) from None
    if len(content) > MAX_BYTES:
        message = f"the file is too large: more than {MAX_BYTES // 1_000_000} MB"
        raise _refused("HJB003", message, "keep tables of numbers in a file of their own", Span(name, 1, 1))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise HjbError(_bad_bytes(name, content)) from None


def _refused(code: str, message: str, help: str, span: Span | None) -> HjbError:
    return HjbError((Diagnostic(code, message, help, span),))


def _bad_bytes(path: str, content: bytes, most: int = 20) -> tuple[Diagnostic, ...]:
    """One diagnostic for each line that is not UTF-8, at its first bad byte; columns count the characters before it."""
    found: list[Diagnostic] = []
    for number, line in enumerate(re.split(rb"\r\n|\n|\r", content), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            before = line[: error.start].decode("utf-8")
            column = len(before.removeprefix("\ufeff") if number == 1 else before) + 1
            byte = line[error.start]
            message = f"the file is not UTF-8: byte 0x{byte:02x} starts no character"
            help = f"save the file as UTF-8{_latin_guess(byte)}"
            shown = line.decode("utf-8", "replace")
            found.append(Diagnostic("HJB002", message, help, Span(path, number, column), shown))
            if len(found) == most:
                break
    return tuple(found)


def _latin_guess(byte: int) -> str:
    letter = bytes([byte]).decode("latin-1")
    return f" (in Latin-1 this byte is `{letter}`)" if letter.isprintable() else ""
