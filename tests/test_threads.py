"""Small products on one thread, and all threads for everybody again."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from pincite.embedding.threads import one_thread


def threads() -> int:
    """Those of NumPy's library; others may have another copy."""
    counts = [library["num_threads"] for library in threadpool_info() if "scipy_openblas" in library["filepath"]]
    if not counts:
        pytest.skip(f"NumPy {np.__version__} has another library here")
    return counts[0]


def test_within_there_is_one_thread_and_afterwards_what_there_was() -> None:
    before = threads()
    with one_thread():
        assert threads() == 1
        with one_thread():
            assert threads() == 1
        assert threads() == 1
    assert threads() == before
    with pytest.raises(ValueError, match="inside"), one_thread():
        raise ValueError("inside")
    assert threads() == before


def test_who_leaves_first_takes_nothing_from_who_stays_and_the_last_restores() -> None:
    before = threads()
    first, second = threading.Event(), threading.Event()
    seen: list[int] = []

    def stay() -> None:
        with one_thread():
            first.set()
            second.wait(30)
            seen.append(threads())

    other = threading.Thread(target=stay)
    with one_thread():
        other.start()
        first.wait(30)
    second.set()
    other.join()
    assert seen == [1]
    assert threads() == before
