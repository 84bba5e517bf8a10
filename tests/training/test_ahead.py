"""What is drawn while the network learns."""

import threading
import time

import pytest
import torch

from adacl.training.ahead import drawn_ahead


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_all_parts_are_drawn_in_order(threads, count):
    torch.set_num_threads(threads)
    with drawn_ahead(lambda part: 10 * part, range(count), True) as drawn:
        assert list(drawn) == [10 * part for part in range(count)]
    assert torch.get_num_threads() == threads


def test_the_next_is_drawn_while_the_last_is_looked_at():
    second = threading.Event()

    def draw(part):
        if part == 1:
            second.set()
        return part

    with drawn_ahead(draw, range(3), True) as drawn:
        assert next(drawn) == 0
        assert second.wait(60)


def test_one_thread_draws_and_the_others_learn():
    with drawn_ahead(lambda part: torch.get_num_threads(), range(2), True) as drawn:
        assert torch.get_num_threads() == 1
        assert list(drawn) == [1, 1]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("threads", "ahead"), [(1, True), (2, False)])
def test_else_all_is_done_in_the_thread_that_learns(threads, ahead):
    torch.set_num_threads(threads)
    with drawn_ahead(lambda part: threading.current_thread(), range(2), ahead) as drawn:
        assert torch.get_num_threads() == threads
        assert set(drawn) == {threading.current_thread()}


def test_an_error_in_what_draws_is_raised_and_no_thread_is_left():
    running = threading.active_count()
    with pytest.raises(ZeroDivisionError), drawn_ahead(lambda part: 1 / part, [1, 0, 2], True) as d:
        list(d)
    assert threading.active_count() == running
    assert torch.get_num_threads() == 2


def test_an_interrupt_of_what_learns_ends_the_drawing():
    drawn_parts = []

    def draw(part):
        drawn_parts.append(part)
        time.sleep(0.01)

    def learn():
        with drawn_ahead(draw, range(1000), True) as drawn:
            next(drawn)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn()
    assert len(drawn_parts) <= 3
    assert torch.get_num_threads() == 2
