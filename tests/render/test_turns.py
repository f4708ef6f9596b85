"""Several share, or one is alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

from lora_render.turns import Turns


def test_who_is_alone_is_alone():
    turns, inside, worst = Turns(), [], []

    def work(number):
        alone = number % 3 == 0
        with turns.alone() if alone else turns.shared():
            inside.append(alone)
            worst.append((len(inside), any(inside)))
            threading.Event().wait(0.001)
            inside.remove(alone)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(60)))
    assert not [count for count, alone in worst if alone and count > 1]
    assert max(count for count, alone in worst if not alone) > 1


def test_who_waits_to_be_alone_goes_before_those_who_share():
    turns, order = Turns(), []
    inside, leave = threading.Event(), threading.Event()

    def first():
        with turns.shared():
            inside.set()
            leave.wait(30)

    def alone():
        with turns.alone():
            order.append("alone")

    def second():
        with turns.shared():
            order.append("shared")

    threads = [threading.Thread(target=each) for each in (first, alone, second)]
    threads[0].start()
    inside.wait(30)
    threads[1].start()
    while not turns._waiting:
        pass
    threads[2].start()
    leave.set()
    for thread in threads:
        thread.join()
    assert order == ["alone", "shared"]
