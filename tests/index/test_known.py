"""What is remembered of what was worked out."""

from concurrent.futures import ThreadPoolExecutor

from gitmem.index.known import _MOST, Known


def test_what_is_known_is_worked_out_once_and_not_kept_for_ever():
    known: Known[int, int] = Known()
    asked: list[int] = []

    def double(number: int) -> int:
        asked.append(number)
        return 2 * number

    assert [known.of(7, lambda: double(7)) for _ in range(3)] == [14, 14, 14]
    assert asked == [7]
    for number in range(3 * _MOST):
        known.of(number, lambda number=number: double(number))
    assert len(known) <= _MOST


def test_threads_that_share_it_get_their_own_answers_while_it_begins_anew():
    known: Known[int, int] = Known()

    def many(start: int) -> bool:
        return all(known.of(n, lambda n=n: 2 * n) == 2 * n for n in range(start, start + 4 * _MOST))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(many, range(0, 8 * 500, 500)))
