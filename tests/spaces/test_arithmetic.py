import pytest

from spaces.arithmetic import CostCounter


def test_cost_counter_of_notebook_three_layers_is_its_parameters_and_megaflops():
    tally = (
        CostCounter(32, 32, 3)
        .conv(32, 3)
        .pool()
        .conv(64, 3)
        .pool()
        .conv(128, 3)
        .global_pool()
        .dense(2048)
        .dense(10)
    )
    parameters, flops = tally.cost()
    assert parameters == 377_930
    assert flops == pytest.approx(21.2e6, rel=0.01)


def test_cost_counter_of_notebook_recipe_is_its_parameters_and_megaflops():
    tally = CostCounter(32, 32, 3).conv(24, 2, padding="valid")
    for filters in (32, 96, 128):
        tally.conv(filters, 3, bias=False).pool().batch_norm().conv(filters, 3, bias=False).batch_norm()
    parameters, flops = tally.global_pool().dense(10).cost()
    moving_statistics = 2 * 2 * (32 + 96 + 128)  # counted in the notebook's 388,418, but not trainable
    assert parameters == 388_418 - moving_statistics
    assert flops == pytest.approx(51e6, rel=0.03)


def test_cost_counter_flatten_multiplies_positions_and_channels():
    tally = CostCounter(9, 7, 1).pool().conv(4, 3, padding="valid").flatten()
    assert (tally.height, tally.width, tally.channels) == (1, 1, 2 * 1 * 4)


def test_cost_counter_batch_norm_counts_only_what_is_trained():
    assert CostCounter(4, 4, 8).batch_norm().parameters == 16
    assert CostCounter(4, 4, 8).batch_norm(scale=False).parameters == 8


def test_cost_counter_dense_before_the_flattening_is_at_each_position():
    assert CostCounter(3, 2, 4).dense(5).cost() == (4 * 5 + 5, 2 * 6 * 4 * 5)


def test_cost_counter_branch_that_is_joined_twice_is_counted_once():
    net = CostCounter(8, 8, 4)
    branch = net.branch().conv(4, 1)
    assert net.add(branch).concatenate(branch).cost() == (4 * 4 + 4, 2 * 64 * 16)
    assert net.channels == 8


def test_cost_counter_refuses_branches_that_do_not_fit():
    net = CostCounter(8, 8, 4)
    with pytest.raises(ValueError, match="a branch of 8x8x3 cannot be added to 8x8x4"):
        net.add(net.branch().conv(3, 1))
    with pytest.raises(ValueError, match="a branch of 4x4x4 cannot be concatenated to 8x8x4"):
        net.concatenate(net.branch().pool())


def test_cost_counter_refuses_another_padding():
    with pytest.raises(ValueError, match="padding 'SAME': expected same or valid"):
        CostCounter(8, 8, 4).conv(3, 1, padding="SAME")


@pytest.mark.parametrize(
    "step", [lambda tally: tally.conv(4, 3, padding="valid"), lambda tally: tally.pool(4)]
)
def test_cost_counter_refuses_where_nothing_is_left(step):
    with pytest.raises(ValueError, match="nothing is left of 2x5 pixels"):
        step(CostCounter(2, 5, 1))
