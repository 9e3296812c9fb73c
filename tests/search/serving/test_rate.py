import pytest

from search.serving import rate
from search.serving.rate import Rate


def test_rate_allows_a_burst_and_then_so_many_a_second() -> None:
    now = [0.0]
    limit = Rate(2, 10, lambda: now[0])
    assert [limit.wait_for("a") for _ in range(3)] == pytest.approx([0, 0, 0.1])
    now[0] = 0.1
    assert [limit.wait_for("a") for _ in range(2)] == pytest.approx([0, 0.1])
    now[0] = 100
    assert [limit.wait_for("a") > 0 for _ in range(3)] == [False, False, True]


def test_rate_of_one_address_is_not_anothers() -> None:
    limit = Rate(1, 1, lambda: 0.0)
    assert [limit.wait_for(address) for address in ("a", "a", "b")] == [0, 1, 0]


def test_rate_forgets_addresses_that_were_not_heard_of_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MOST_ADDRESSES", 2)
    limit = Rate(1, 1, lambda: 0.0)
    assert [limit.wait_for(address) for address in ("a", "b", "c", "a", "c")] == [0, 0, 0, 0, 1]
