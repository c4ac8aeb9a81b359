"""Small matrix products on one thread.

NumPy's library would spread them over all cores, where they wait for the threads of the model that is
running: twice the time for a question, a third more for a corpus.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_inside = 0
_limiter: Any = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Until the last who is in here leaves; then it is as it was before, for this belongs to the whole process."""
    global _inside, _limiter
    with _lock:
        if _inside == 0:
            _limiter = _blas().limit(limits=1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _limiter is not None:
                _limiter.restore_original_limits()


@cache
def _blas() -> Any:
    return ThreadpoolController().select(user_api="blas")
