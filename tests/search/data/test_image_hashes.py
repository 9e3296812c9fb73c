import numpy as np

from search.data.image_hashes import NEAREST, hashes, nearest_distances


def test_hashes_are_the_same_whatever_the_blocks() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    whole = hashes(images)
    assert (whole == np.concatenate([hashes(images[:7]), hashes(images[7:])])).all()
    assert (whole.dtype, len(set(whole.tolist()))) == (np.dtype(np.uint64), 40)


def test_nearest_is_the_smallest_distance_of_all_pairs() -> None:
    random = np.random.default_rng(0)
    some, others = (random.integers(0, 2**64, count, dtype=np.uint64) for count in (300, 5000))
    expected = [min((int(one) ^ int(other)).bit_count() for other in others[:500]) for one in some[:20]]
    assert nearest_distances(some[:20], others[:500]).tolist() == expected
    assert not nearest_distances(some, some).any()
    assert nearest_distances(some, some, itself=False).min() > NEAREST
