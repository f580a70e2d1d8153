import threading

import pytest
import torch

from skmtl.training import torch_settings


@pytest.fixture(autouse=True)
def three_threads():
    """A setting that no fit asks for, so that a wrong one shows."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def in_a_thread(function):
    """Run a function in a thread of its own and return its result."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function()))
    thread.start()
    thread.join()
    return result[0]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_set_for_a_while(n_threads):
    with torch_settings(n_threads):
        assert torch.get_num_threads() == n_threads
    assert torch.get_num_threads() == 3


def test_none_leaves_the_setting_alone():
    with torch_settings(None):
        assert torch.get_num_threads() == 3
        torch.set_num_threads(2)
    assert torch.get_num_threads() == 2


def test_it_comes_back_after_an_error():
    with pytest.raises(KeyboardInterrupt), torch_settings(1):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 3
    with pytest.raises(ZeroDivisionError), torch_settings(1):
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == 3


def test_it_comes_back_after_a_wrong_number():
    with pytest.raises(RuntimeError, match="positive"), torch_settings(0):
        pass
    with torch_settings(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_one_inside_the_other():
    with torch_settings(1):
        with torch_settings(2):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_a_prediction_within_a_fit_does_not_end_the_setting():
    with torch_settings(1):
        with torch_settings(1):
            pass
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("leaves_first", ["main", "other"])
def test_two_fits_at_once(leaves_first):
    """Torch keeps the number for each thread, and the main one has to get its own back."""
    entered, leave = threading.Event(), threading.Event()
    inside = []

    def other():
        with torch_settings(1):
            inside.append(torch.get_num_threads())
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with torch_settings(1):
        thread.start()
        entered.wait(10)
        if leaves_first == "other":
            leave.set()
            thread.join()
            assert torch.get_num_threads() == 1  # ours is not over
    leave.set()
    thread.join()
    assert inside == [1]
    assert torch.get_num_threads() == 3
    assert in_a_thread(torch.get_num_threads) == 3


def test_many_fits_at_once():
    start = threading.Barrier(8)
    inside = []

    def fit():
        start.wait(10)
        for _ in range(50):
            with torch_settings(1):
                inside.append(torch.get_num_threads())

    threads = [threading.Thread(target=fit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == [1] * 400
    assert torch.get_num_threads() == 3
    assert in_a_thread(torch.get_num_threads) == 3


def test_after_a_fit_in_another_thread_new_threads_have_the_former_number():
    def fit():
        with torch_settings(1):
            pass

    in_a_thread(fit)
    assert torch.get_num_threads() == 3
    assert in_a_thread(torch.get_num_threads) == 3
