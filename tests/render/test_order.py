"""Who gets which job next."""

from collections import Counter
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_render.order import Lines, Listed, order_of


@pytest.fixture(scope="session")
def jobs(make_job):
    """``jobs("aab")``: one job for each letter, which is its recipe; capitals have another base."""

    def make(recipes):
        return [
            make_job(index, "other" if letter.isupper() else "model", letter)
            for index, letter in enumerate(recipes)
        ]

    return make


def taken(order, workers):
    """The recipes that workers get, who ask in this order."""
    return "".join(
        job.items[0].recipe if (job := order.take(int(worker))) else "-" for worker in workers
    )


def test_a_worker_stays_in_its_line(jobs):
    assert taken(Lines(jobs("abcabcabc")), "000000000") == "aaabbbccc"


def test_every_worker_has_a_line_of_its_own_the_fullest_first(jobs):
    assert taken(Lines(jobs("abbcccabc")), "0120120") == "cbacbac"


def test_who_has_nothing_left_helps_in_the_fullest_line(jobs):
    assert taken(Lines(jobs("aaaaabbc")), "01201212") == "abcab" + "aaa"


def test_the_next_line_has_the_same_base_though_another_is_fuller(jobs):
    assert taken(Lines(jobs("aaaabbCCC")), "0000000") == "aaaabbC"


def test_a_job_that_comes_back_is_the_next_of_its_line(jobs):
    order = Lines(jobs("aaabb"))
    lost = order.take(0)
    order.leave(0)
    order.back(lost)
    assert order.take(1) is lost


def test_a_line_whose_worker_is_lost_is_one_that_others_take(jobs):
    order = Lines(jobs("aaabbbb"))
    assert taken(order, "01") == "ba"
    order.leave(0)
    assert taken(order, "22") == "bb"


def test_listed_is_as_listed(jobs):
    order = Listed(jobs("abab"))
    assert taken(order, "0100") == "abab"
    assert order.take(0) is None


@given(
    recipes=st.text("abcDE", max_size=30),
    steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(("take", "lose"))), max_size=80),
    name=st.sampled_from(("affinity", "listed")),
)
def test_every_job_is_given_once_whatever_is_lost(jobs, recipes, steps, name):
    all_jobs = jobs(recipes)
    order = order_of(name, all_jobs)
    flying = {worker: [] for worker in range(4)}
    done = []
    for worker, step in steps:
        if step == "take":
            done += flying[worker]
            job = order.take(worker)
            flying[worker] = [job] if job else []
        else:
            order.leave(worker)
            for job in flying[worker]:
                order.back(job)
            flying[worker] = []
    done += [job for jobs_of in flying.values() for job in jobs_of]
    assert sorted(job.items[0].index for job in (*done, *order)) == [*range(len(all_jobs))]
    while job := order.take(0):
        done.append(job)
    assert sorted(job.items[0].index for job in done) == [*range(len(all_jobs))]


@given(recipes=st.text("abcdef", min_size=1, max_size=60), workers=st.integers(1, 3))
def test_no_line_is_patched_more_often_than_it_has_workers(jobs, recipes, workers):
    order = Lines(jobs(recipes))
    given_to = {worker: [] for worker in range(workers)}
    for turn in range(len(recipes)):
        given_to[turn % workers].append(order.take(turn % workers).items[0].recipe)
    visits = Counter(
        recipe for recipes_of in given_to.values() for recipe, _ in groupby(recipes_of)
    )
    assert all(count <= workers for count in visits.values())
    assert sum(visits.values()) <= len(set(recipes)) + workers * (workers - 1)
