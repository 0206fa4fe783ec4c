"""Side room of every stage: answers and solutions kept on disk by content, so that nothing is worked out twice.

In: a key made of everything that the answer depends on. Out: what was stored under it, or None. Two shelves:

    answers/    JSON: what a command printed. Reading one back needs neither sympy nor numpy.
    solutions/  pickles of `Solution`, inside the user's own cache directory only; evaluated again at other points.

Every key holds `fingerprint()`, the state of the program itself. A damaged entry counts as absent and is written anew.
The directory is `$HJBDSL_CACHE`, else `$XDG_CACHE_HOME/hjbdsl`, else `~/.cache/hjbdsl`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pickle
import sys
import tempfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = ("sympy", "numpy", "scipy", "numba", "lark")
_MOST_ENTRIES = 2000


def directory() -> Path:
    """Where the shelves stand; made on first use, readable by its owner only."""
    named = os.environ.get("HJBDSL_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hjbdsl"


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """A digest of the program: names, sizes and times of its source files and of the libraries that it computes with."""
    parts = [sys.version]
    pending = [str(_PACKAGE)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    if entry.name not in ("__pycache__", "gallery"):
                        pending.append(entry.path)
                elif entry.name.endswith((".py", ".lark", ".j2")):
                    status = entry.stat()
                    parts.append(f"{entry.path}:{status.st_size}:{status.st_mtime_ns}")
    for library in _LIBRARIES:
        found = importlib.util.find_spec(library)
        if found is not None and found.origin:
            parts.append(f"{found.origin}:{os.stat(found.origin).st_mtime_ns}")
    return digest(sorted(parts))


def digest(parts: Iterable[object]) -> str:
    """SHA-256 of a sequence, unambiguous in where one part ends and the next begins."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


def read_answer(key: str) -> dict[str, Any] | None:
    """The object stored under `key`, if every file that it was made from still has the content it had then."""
    try:
        stored = json.loads((directory() / "answers" / f"{key}.json").read_bytes())
        if all(file_digest(path) == content for path, content in stored["files"].items()):
            answer = stored["answer"]
            return answer if isinstance(answer, dict) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None


def write_answer(key: str, answer: Mapping[str, Any], files: Iterable[str]) -> None:
    """Store `answer`, made from `files` (paths; one that cannot be read leaves the answer unstored)."""
    contents = {os.path.abspath(path): file_digest(path) for path in files}
    if None in contents.values():
        return
    _write("answers", f"{key}.json", json.dumps({"files": contents, "answer": answer}).encode())


def read_solution(key: str) -> object | None:
    """The object pickled under `key`, or None. Only files that belong to this user are opened."""
    path = directory() / "solutions" / f"{key}.pickle"
    try:
        if path.stat().st_uid != os.getuid():
            return None
        with path.open("rb") as stream:
            loaded: object = pickle.load(stream)
            return loaded
    except Exception:  # a pickle of another version can raise anything; the entry is then made anew
        return None


def write_solution(key: str, value: object) -> None:
    """Pickle `value` under `key`; something that cannot be pickled is left unstored."""
    try:
        content = pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError):
        return
    _write("solutions", f"{key}.pickle", content)


def file_digest(path: str) -> str | None:
    """SHA-256 of a file's content; None where it cannot be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None


def _write(shelf: str, name: str, content: bytes) -> None:
    """Atomically; a cache that cannot be written (read-only home, full disk) costs time, never the answer."""
    folder = directory() / shelf
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.replace(temporary, folder / name)
        _prune(folder)
    except OSError:
        return


def _prune(folder: Path) -> None:
    """Keep the shelf small: past `_MOST_ENTRIES` files the older half goes."""
    names = os.listdir(folder)
    if len(names) <= _MOST_ENTRIES:
        return
    by_age = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in by_age[: len(by_age) // 2]:
        path.unlink(missing_ok=True)
