"""Gradients are those of the loss, by small steps along random directions."""

import numpy as np
import pytest

import model

SHAPE = model.Shape(vocab_size=19, hidden_size=16, intermediate_size=12, num_hidden_layers=2)


def case():
    rng = np.random.default_rng(5)
    w = {name: rng.standard_normal(old.shape) * 0.4 for name, old in model.weights(SHAPE, rng).items()}
    ids = rng.integers(0, SHAPE.vocab_size, (2, 7))
    share = rng.random((2, 7))
    return rng, w, ids, np.roll(ids, -1, axis=1), share


@pytest.mark.parametrize("name", case()[1])
def test_a_gradient_is_the_slope_of_the_loss(name):
    rng, w, ids, targets, share = case()
    _, grads = model.loss_and_gradients(w, SHAPE, ids, targets, share)
    direction = rng.standard_normal(w[name].shape)
    step = 1e-5

    def loss(way):
        moved = {**w, name: w[name] + way * step * direction}
        return model.loss_and_gradients(moved, SHAPE, ids, targets, share)[0]

    slope = (loss(1) - loss(-1)) / (2 * step)
    assert np.sum(grads[name] * direction) == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_a_token_knows_nothing_of_later_ones():
    _, w, ids, _, _ = case()
    changed = ids.copy()
    changed[:, 5] = (changed[:, 5] + 1) % SHAPE.vocab_size
    n = ids.shape[1]
    before, after = (model.forward(w, SHAPE, x)[0].reshape(2, n, -1) for x in (ids, changed))
    assert np.allclose(before[:, :5], after[:, :5])
    assert not np.allclose(before[:, 5:], after[:, 5:])
