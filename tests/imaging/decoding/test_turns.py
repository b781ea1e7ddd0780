"""Handing out: in the order in which they came, to the one liked most."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pinakes.imaging.decoding.turns import Closed, Turns


def alike(thing: str) -> int:
    return 0


def wait_for_waiting(turns: Turns[str], count: int) -> None:
    while turns.waiting != count:
        time.sleep(0.001)


def test_of_those_that_are_idle_the_one_liked_most_is_taken() -> None:
    turns = Turns(["one", "two", "three"])
    assert turns.take(len, 1) == "three"
    assert turns.take(lambda thing: thing == "two", 1) == "two"
    assert turns.take(alike, 1) == "one"


def test_whoever_has_waited_longest_is_next() -> None:
    turns, served = Turns(["only"]), list[int]()
    held = turns.take(alike, 1)

    def caller(number: int) -> None:
        thing = turns.take(alike, 20)
        served.append(number)
        turns.give_back(thing)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(20)]
    for number, thread in enumerate(threads):
        thread.start()
        wait_for_waiting(turns, number + 1)
    turns.give_back(held)
    for thread in threads:
        thread.join()
    assert served == list(range(20))


def test_who_gave_up_is_not_served_and_nothing_is_lost() -> None:
    turns = Turns(["only"])
    held = turns.take(alike, 1)
    with pytest.raises(TimeoutError):
        turns.take(alike, 0.01)
    assert turns.waiting == 0
    turns.give_back(held)
    assert turns.take(alike, 0) == "only"


def test_none_is_held_by_two_and_none_is_lost_under_many_hurried_callers() -> None:
    turns, holders, clashes = Turns(["a", "b"]), list[str](), list[str]()

    def caller(number: int) -> int:
        served = 0
        for turn in range(50):
            try:
                thing = turns.take(alike, 0.0001 * (turn % 5))
            except TimeoutError:
                continue
            if thing in holders:
                clashes.append(thing)
            holders.append(thing)
            time.sleep(0)
            holders.remove(thing)
            served += 1
            turns.give_back(thing)
        return served

    with ThreadPoolExecutor(8) as callers:
        assert sum(callers.map(caller, range(8))) > 0
    assert clashes == []
    assert sorted([turns.take(alike, 0), turns.take(alike, 0)]) == ["a", "b"]


def test_closing_wakes_those_who_wait_and_refuses_those_who_come() -> None:
    turns = Turns(["only", "idle"])
    turns.take(lambda thing: thing == "only", 1)
    assert turns.take(alike, 1) == "idle"
    with ThreadPoolExecutor(1) as callers:
        waiting = callers.submit(turns.take, alike, 20)
        wait_for_waiting(turns, 1)
        turns.give_back("idle")
        assert waiting.result() == "idle"
        waiting = callers.submit(turns.take, alike, 20)
        wait_for_waiting(turns, 1)
        assert turns.close() == []
        assert isinstance(waiting.exception(), Closed)
    with pytest.raises(Closed):
        turns.take(alike, 1)
