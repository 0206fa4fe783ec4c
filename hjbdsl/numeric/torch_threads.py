"""Shared by the rooms that train networks: how many threads torch may use. Imported only where torch already is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Batches and layers of this size cost less than waking a second thread, whose waiting takes the processor from others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
