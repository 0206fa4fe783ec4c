"""Stage 1, text: the LALR parser of one statement, built from grammars/hjb.lark and kept on disk.

In: the grammar beside the package. Out: a Lark parser. Building takes a few tenths of a second, loading some 20 ms; the
file in the cache carries a digest, so that a torn or foreign one is rebuilt and never unpickled.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
from functools import cache
from pathlib import Path

import lark

GRAMMAR_PATH = Path(__file__).resolve().parents[2] / "grammars" / "hjb.lark"


def grammar_text() -> str:
    return GRAMMAR_PATH.read_text(encoding="utf-8")


def build_parser(grammar: str) -> lark.Lark:
    """A parser for `statement` that keeps every token."""
    return lark.Lark(grammar, start="statement", parser="lalr", lexer="contextual", keep_all_tokens=True)


@cache
def statement_parser() -> lark.Lark:
    """The parser, from the disk cache where it stands, built and stored where it does not."""
    grammar = grammar_text()
    place = cache_path(grammar)
    loaded = load_cached(place)
    if loaded is not None:
        return loaded
    parser = build_parser(grammar)
    store(parser, place)
    return parser


def cache_path(grammar: str) -> Path:
    """One file for each grammar, Lark and Python, under XDG_CACHE_HOME or ~/.cache."""
    version = f"{lark.__version__} {sys.version} {grammar}"
    key = hashlib.sha256(version.encode()).hexdigest()[:20]
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(root) / "hjbdsl" / f"grammar-{key}.bin"


def load_cached(place: Path) -> lark.Lark | None:
    """The stored parser, or None where there is none, it belongs to somebody else, or its digest does not fit."""
    try:
        content = place.read_bytes()
        if sys.platform != "win32" and place.stat().st_uid != os.getuid():
            return None
    except (OSError, ValueError):
        return None
    digest, payload = content[:32], content[32:]
    if len(digest) != 32 or hashlib.sha256(payload).digest() != digest:
        return None
    return lark.Lark.load(io.BytesIO(payload))


def store(parser: lark.Lark, place: Path) -> bool:
    """Put the parser on disk by a rename, so that a reader sees the whole file or none. False where that cannot be done."""
    buffer = io.BytesIO()
    parser.save(buffer)
    payload = buffer.getvalue()
    temporary = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix="grammar-", suffix=".part")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(hashlib.sha256(payload).digest() + payload)
        os.replace(temporary, place)
    except OSError:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        return False
    return True
