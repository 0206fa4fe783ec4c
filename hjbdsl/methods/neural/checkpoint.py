"""Snapshots of a training, written whole or not at all.

In: tensors and numbers under names. Out: a file that is replaced in one move, read back without running any code in it. A
snapshot names the problem and the seed that it belongs to; another's is refused.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hjbdsl.errors import UsageError


def write_checkpoint(path: str, owner: str, content: Mapping[str, Any]) -> None:
    """`content` holds tensors, numbers, text, and tuples, lists or dictionaries of such."""
    folder = Path(path).resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".checkpoint-")
    try:
        with os.fdopen(handle, "wb") as stream:
            torch.save(_plain({"owner": owner, **content}), stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _plain(content: Any) -> Any:
    """numpy's numbers as Python's: a reader that runs no code refuses the former."""
    match content:
        case np.generic():
            return content.item()
        case dict():
            return {key: _plain(value) for key, value in content.items()}
        case list():
            return [_plain(value) for value in content]
        case tuple():
            return tuple(_plain(value) for value in content)
        case _:
            return content


def read_checkpoint(path: str, owner: str) -> dict[str, Any] | None:
    """The content, or None where there is no such file. Raises `UsageError` where it is damaged or another training's."""
    if not Path(path).exists():
        return None
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UsageError(f"{path} is no checkpoint that can be read: {error}") from None
    if not isinstance(content, dict) or content.get("owner") != owner:
        raise UsageError(f"{path} belongs to another problem, seed or version; name another file or leave out --resume")
    return content
