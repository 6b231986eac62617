"""One half step of ALS for many rows at once: the factors of visitors given those of their items, or the reverse.

A row has n pairs with feedback r and the factors y of the fixed side. What `Solver` minimises for one visitor (see
``recommender.ranking.fold_in``) is solved here for all rows of a block: A x = b with

    A = D + Σ c_i y_i y_iᵀ        D = YᵀY + λ nᵖ I        b = Σ w_i y_i

The fixed side is rotated first, so that YᵀY, and D with it, is diagonal. A row is padded to a length that follows from
its own n alone, so that it gets the same factors in any block.

- **Exact**, in double precision: a row with fewer pairs than factors needs a system of n x n only (Woodbury's
  identity), any other one of rank x rank.
- **Conjugate gradients**, in single precision: a few steps from 0, with the diagonal of A as preconditioner. Source:
  Takács, Pilászy and Tikk, Applications of the Conjugate Gradient Method for Implicit Feedback Collaborative Filtering
  (2011).

Example usage:
>>> items = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
>>> history = np.array([0]), np.array([0, 1, 1])  # the first visitor has one item, the second none
>>> solver = Solver(implicit_prefs=True, alpha=1.0, reg_param=0.5)
>>> solve_rows(history, np.array([2.0]), items, gram(items), solver).round(4).tolist()
[[0.857..., 0.0], [0.0, 0.0]]
>>> random_factors(np.array([7]), 2, seed=0).astype(float).round(3).tolist()
[[0.114, -0.993]]
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recommender.ranking.fold_in import Solver, gram  # noqa: F401 - for the example
from recommender.ranking.top_k import Factors

_CELLS: Final = 2**13  # pairs of a batch, padding included: the factors gathered for them stay in a processor's cache
_GROWTH: Final = 1.2  # from one padded length to the next
_SINGULAR: Final = 1e-12  # an eigenvalue this small, as a share of the largest, is rounding
_TINY: Final = np.finfo(np.float32).tiny

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]


def solve_rows(
    history: tuple[NDArray[np.integer[Any]], NDArray[np.int64]],
    scores: Floats,
    fixed: Factors,
    gram_matrix: Doubles,
    solver: Solver,
    cg_steps: int | None = None,
) -> Factors:
    """Return the factors of rows, given those of the fixed side.

    Args:
        history: the positions of each row's pairs in `fixed`, as (values, offsets).
        scores: the feedback r that belongs to each of the values.
        fixed: factors, shape (n, rank).
        gram_matrix: `gram` of all factors of the fixed side, of which `fixed` may be a part; implicit only.
        solver: what is minimised; its factors may be negative.
        cg_steps: steps of conjugate gradients; None: exact. Exact in any case: with reg_param 0, and a row longer than
            a batch.

    Returns:
        Factors, shape (rows, rank); zeros for a row without positive feedback (implicit) or pairs (explicit), NaN for
        one whose equations do not have a single solution (reg_param 0). All NaN if `gram_matrix` is not finite.
    """
    values, offsets = history
    if not np.isfinite(gram_matrix).all():
        return np.full((len(offsets) - 1, fixed.shape[1]), np.nan, np.float32)
    c, w, counts = _weights(solver, scores, offsets)
    eigenvalues, basis = np.linalg.eigh(gram_matrix) if solver.implicit_prefs else (np.zeros(fixed.shape[1]), None)
    rotated, ridge = _rotate(fixed, basis), solver.ridge(counts)
    result = np.zeros((len(counts), fixed.shape[1]))
    is_singular = solver.reg_param == 0
    for rows, length in _batches(np.diff(offsets), counts > 0):
        d = np.maximum(eigenvalues, 0) + ridge[rows, None]
        if length > _CELLS:
            own = slice(offsets[rows[0]], offsets[rows[0] + 1])
            result[rows] = _long_row(rotated, values[own], c[own], w[own], d, checked=is_singular)
            continue
        places = offsets[rows, None] + np.arange(length)
        is_padding = places >= offsets[rows + 1, None]
        places[is_padding] = 0
        y, c_rows, w_rows = rotated[values[places]], c[places], w[places]
        c_rows[is_padding] = w_rows[is_padding] = 0
        if is_singular or cg_steps is None:
            result[rows] = _exact(y.astype(np.float64), c_rows, w_rows, d, is_singular=is_singular)
        else:
            result[rows] = _conjugate_gradients(y, c_rows, w_rows, d.astype(np.float32), cg_steps)
    return _rotate(result, None if basis is None else basis.T)


def random_factors(ids: NDArray[np.integer[Any]], rank: int, seed: int) -> Factors:
    """Return random directions of length 1, shape (ids, rank): each number follows from seed, id and its column alone.

    The numbers are normal before they are scaled, as MLlib's are (but not the same), so all directions are as likely.
    """
    result = np.empty((len(ids), rank), np.float32)
    columns: NDArray[np.uint64] = np.arange(rank).astype(np.uint64)
    for start in range(0, len(ids), _CELLS):
        own = np.asarray(ids[start : start + _CELLS]).astype(np.uint64)
        rows = _mixed(own ^ _mixed(np.array([seed], np.int64).astype(np.uint64)))
        bits = _mixed(np.add.outer(rows, columns))
        # The halves of 64 bits are two uniform numbers, which make one that is normal (Box and Muller).
        radius = np.sqrt(-2 * np.log(((bits >> np.uint64(32)) + 0.5) / 2**32))
        numbers = radius * np.cos(2 * np.pi * (bits & np.uint64(2**32 - 1)) / 2**32)
        result[start : start + _CELLS] = numbers / np.linalg.norm(numbers, axis=1, keepdims=True)
    return result


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a hash of 64 bits: one step of SplitMix64 (Steele, Lea and Flood 2014)."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return mixed


def _weights(solver: Solver, scores: Floats, offsets: NDArray[np.int64]) -> tuple[Factors, Factors, NDArray[np.int64]]:
    """Return c and w of each pair, and the number of pairs of each row that the regularisation counts."""
    r = np.asarray(scores, np.float32)
    if not solver.implicit_prefs:
        return np.ones_like(r), r, np.diff(offsets)
    c, is_positive = np.float32(solver.alpha) * np.abs(r), r > 0
    counted = np.concatenate([[0], np.cumsum(is_positive, dtype=np.int64)])
    return c, np.where(is_positive, 1 + c, np.float32(0)), np.diff(counted[offsets])


def _rotate(factors: Floats, basis: Doubles | None) -> Factors:
    """Return factors in another basis, computed in double precision a piece at a time."""
    if basis is None:
        return factors.astype(np.float32)
    rotated = np.empty(factors.shape, np.float32)
    for start in range(0, len(factors), _CELLS):
        rotated[start : start + _CELLS] = factors[start : start + _CELLS] @ basis
    return rotated


def _batches(lengths: NDArray[np.int64], solved: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Return the rows to solve and the length that they are padded to; a row longer than a batch comes alone."""
    bounds = np.unique(np.ceil(_GROWTH ** np.arange(np.log(_CELLS) / np.log(_GROWTH))).astype(np.int64))
    bounds = np.append(bounds[bounds < _CELLS], _CELLS)
    kinds = np.searchsorted(bounds, lengths)
    order = np.argsort(kinds, kind="stable")
    order = order[solved[order]]
    starts = np.searchsorted(kinds[order], np.arange(len(bounds) + 1))
    for kind, length in enumerate(bounds.tolist()):
        rows = order[starts[kind] : starts[kind + 1]]
        for start in range(0, len(rows), _CELLS // length):
            yield rows[start : start + _CELLS // length], length
    for row in order[starts[-1] :]:
        yield np.array([row]), int(lengths[row])


def _exact(y: Floats, c: Factors, w: Factors, d: Doubles, *, is_singular: bool) -> Doubles:
    """Solve a batch; y has the shape (rows, length, rank), c and w (rows, length), d (rows, rank)."""
    right = np.matmul(w[:, None], y)[:, 0]
    length, rank = y.shape[1:]
    if is_singular or length >= rank:
        return _solved(np.matmul((c[..., None] * y).transpose(0, 2, 1), y), right, d, checked=is_singular)
    first = right / d
    root: Floats = np.sqrt(c)[..., None] * y
    scaled = root / d[:, None]
    inner = np.matmul(scaled, root.transpose(0, 2, 1)) + np.eye(length)
    pull = np.linalg.solve(inner, np.matmul(root, first[..., None]))
    result: Doubles = first - np.matmul(pull.transpose(0, 2, 1), scaled)[:, 0]
    return result


def _solved(left: Doubles, right: Doubles, d: Doubles, *, checked: bool) -> Doubles:
    """Solve systems of rank x rank; if they are to be checked, those without a single solution get NaN."""
    each = np.arange(left.shape[1])
    left[:, each, each] += d
    if checked:
        sizes = np.linalg.eigvalsh(left)
        is_singular = sizes[:, 0] <= _SINGULAR * sizes[:, -1]
        left[is_singular], right[is_singular] = np.eye(len(each)), np.nan
    return np.linalg.solve(left, right[..., None])[..., 0].astype(np.float64, copy=False)


def _long_row(
    rotated: Factors, values: NDArray[np.integer[Any]], c: Factors, w: Factors, d: Doubles, *, checked: bool
) -> Doubles:
    """Solve one row exactly, a piece of its pairs at a time."""
    rank = rotated.shape[1]
    left, right = np.zeros((1, rank, rank)), np.zeros((1, rank))
    for start in range(0, len(values), _CELLS):
        own = slice(start, start + _CELLS)
        y = rotated[values[own]].astype(np.float64)
        left[0] += (y.T * c[own]) @ y
        right[0] += w[own] @ y
    return _solved(left, right, d, checked=checked)


def _conjugate_gradients(y: Factors, c: Factors, w: Factors, d: Factors, steps: int) -> Factors:
    """Take some steps towards the solution of a batch; see `_exact` for the shapes."""
    across = y.transpose(0, 2, 1)
    diagonal = d + np.matmul(c[:, None], y * y)[:, 0]
    x = np.zeros_like(d)
    rest = np.matmul(across, w[..., None])[..., 0]
    direction = towards = rest / diagonal
    size = np.einsum("rf,rf->r", rest, towards)
    for _ in range(steps):
        along = np.matmul(y, direction[..., None])
        product = d * direction + np.matmul(across, c[..., None] * along)[..., 0]
        step = size / np.maximum(np.einsum("rf,rf->r", direction, product), _TINY)
        x += step[:, None] * direction
        rest = rest - step[:, None] * product
        towards = rest / diagonal
        before, size = size, np.einsum("rf,rf->r", rest, towards)
        direction = towards + (size / np.maximum(before, _TINY))[:, None] * direction
    return x
