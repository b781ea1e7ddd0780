"""Single flight: what several ask for at once is made once."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pinakes.core.renditions.flight import SingleFlight


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_who_asks_while_it_is_made_gets_what_is_made() -> None:
    flight: SingleFlight[int] = SingleFlight()
    begun, going_on = threading.Event(), threading.Event()
    made: list[int] = []

    def make() -> int:
        begun.set()
        assert going_on.wait(10)
        made.append(1)
        return len(made)

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(flight.do, "a", make)
        assert begun.wait(10)
        others = [pool.submit(flight.do, "a", make) for _ in range(3)]
        assert flight.do("b", lambda: 7) == 7  # another key does not wait
        until(lambda: len(flight._flying["a"]._condition._waiters) == 3)  # type: ignore[attr-defined]
        going_on.set()
        assert [one.result() for one in (first, *others)] == [1] * 4
    assert made == [1]
    assert flight.do("a", lambda: 5) == 5  # nothing is kept


def test_a_failure_is_everybodys_and_the_next_one_tries_again() -> None:
    flight: SingleFlight[int] = SingleFlight()
    begun, going_on = threading.Event(), threading.Event()

    def fail() -> int:
        begun.set()
        assert going_on.wait(10)
        raise ZeroDivisionError

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(flight.do, "a", fail)
        assert begun.wait(10)
        going_on.set()
        with pytest.raises(ZeroDivisionError):
            first.result()
    assert flight.do("a", lambda: 5) == 5
