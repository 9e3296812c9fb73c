"""The section on accuracy beside cost."""

from search.reporting.elements import Charts, Table, Text
from search.reporting.facts import read_facts
from search.reporting.sections.cost import cost_section


def test_trials_that_all_cost_the_same_have_no_section(new_study) -> None:
    same = {"flops": 5, "parameters": 5, "milliseconds": 0.5}
    study = new_study(["finished"] * 2, said=same)
    assert cost_section(read_facts(study)) is None
    assert cost_section(read_facts(new_study(["finished"]))) is None


def test_section_has_a_drawing_of_each_cost_and_the_trials_that_are_worth_it(new_study) -> None:
    facts = read_facts(new_study(["finished"] * 20 + ["pruned"] * 5))
    section = cost_section(facts)
    assert section is not None
    words, charts, table = section.blocks
    assert isinstance(words, Text)
    assert isinstance(charts, Charts)
    assert isinstance(table, Table)
    assert len(charts.charts) == 3
    best = facts.ranked[0].number
    assert "20 finished trials, by validation accuracy" in words.text
    assert f"trial {best}, has " in words.text
    marked = {str(row[1]): row for row in table.rows}
    assert any("best" in what for what in marked)
    assert any("small" in what for what in marked)
    assert table.rows[-1][0] == best or table.rows[0][0] != best
    costs = [row[4] for row in table.rows]
    assert costs == sorted(costs, key=lambda cost: float(str(cost).split()[0]))
