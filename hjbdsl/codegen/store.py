"""Generated modules on disk: named by the SHA-256 of their text, registered in `sys.modules` before they run.

numba keys its cache by file and signature only, so everything that changes the machine code (flags too) must stand in
the text. In: source text. Out: the imported module.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType


def cache_directory() -> Path:
    """Where generated modules live: HJBDSL_CACHE, else XDG_CACHE_HOME/hjbdsl, else ~/.cache/hjbdsl; else a temporary one."""
    named = os.environ.get("HJBDSL_CACHE")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hjbdsl"
    folder = base / "generated"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="hjbdsl-"))


def load_generated(source: str, stem: str) -> ModuleType:
    """Write `source` once under a name made of `stem` and its hash, and import it."""
    name = f"hjb_{stem}_{hashlib.sha256(source.encode()).hexdigest()[:20]}"
    if name in sys.modules:
        return sys.modules[name]
    path = cache_directory() / f"{name}.py"
    if not path.exists() or path.read_text(encoding="utf-8") != source:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".py")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(source)
        os.replace(temporary, path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load the generated module {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
