"""Linear algebra that takes its own time, the same for native Python and for a sandbox.

`main` is what a task calls; the bench runs the same text in a native process.
"""

from time import perf_counter

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import spsolve


def matmul(size, rng):
    a, b = rng.standard_normal((2, size, size))
    x = rng.standard_normal(size)
    return lambda: a @ b, lambda c: gap(c @ x, a @ (b @ x))


def solve(size, rng):
    a, b = rng.standard_normal((size, size)), rng.standard_normal(size)
    return lambda: np.linalg.solve(a, b), lambda x: gap(a @ x, b)


def cholesky(size, rng):
    a, x = symmetric(size, rng), rng.standard_normal(size)
    return lambda: np.linalg.cholesky(a), lambda low: gap(low @ (low.T @ x), a @ x)


def qr(size, rng):
    a, x = rng.standard_normal((size, size)), rng.standard_normal(size)
    return lambda: np.linalg.qr(a), lambda found: gap(found.Q @ (found.R @ x), a @ x)


def eigh(size, rng):
    a, x = symmetric(size, rng), rng.standard_normal(size)
    return lambda: np.linalg.eigh(a), lambda found: gap(found[1] @ (found[0] * (found[1].T @ x)), a @ x)


def svd(size, rng):
    a, x = rng.standard_normal((size, size)), rng.standard_normal(size)
    return lambda: np.linalg.svd(a), lambda found: gap(found.U @ (found.S * (found.Vh @ x)), a @ x)


def poisson(size, rng):
    """The five-point Laplacian on a rectangle, `size` unknowns: rows of 250."""
    width, height = 250, size // 250
    second = [sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)) for n in (width, height)]
    a = sparse.kron(sparse.eye_array(height), second[0]) + sparse.kron(second[1], sparse.eye_array(width))
    return sparse_solve(a.tocsc(), rng)


def frame(size, rng):
    """A tower of columns and beams, ten by ten columns, clamped at its foot: six unknowns a joint, `size` in all."""
    shape = (size // 600 + 1, 10, 10)
    joints = np.arange(np.prod(shape)).reshape(shape)
    columns = (joints[:-1].ravel(), joints[1:].ravel(), beam(3.0, axes=(2, 0, 1)))
    along_x = (joints[1:, :, :-1].ravel(), joints[1:, :, 1:].ravel(), beam(5.0, axes=(0, 1, 2)))
    along_y = (joints[1:, :-1].ravel(), joints[1:, 1:].ravel(), beam(6.0, axes=(1, 2, 0)))
    rows, cols, values = [], [], []
    for begin, end, stiffness in (columns, along_x, along_y):
        unknowns = (6 * np.stack([begin, end], axis=1)[:, :, None] + np.arange(6)).reshape(-1, 12)
        rows.append(np.repeat(unknowns, 12, axis=1).ravel())
        cols.append(np.tile(unknowns, (1, 12)).ravel())
        values.append(np.tile(stiffness.ravel(), len(begin)))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(cols)))
    a = sparse.coo_array(entries, shape=(6 * joints.size,) * 2).tocsc()
    return sparse_solve(a[600:, 600:].tocsc(), rng)


def beam(length, axes):
    """12 by 12 stiffness of a straight beam (Euler and Bernoulli), kN and m, turned: `axes` are its own x, y and z."""
    e, g, area, inertia, twist = 2.1e8, 8.1e7, 9e-3, (3e-5, 8e-5), 1e-6
    k = np.zeros((12, 12))
    for at, value in ((0, e * area / length), (3, g * twist / length)):
        k[np.ix_([at, at + 6], [at, at + 6])] = value * np.array([[1, -1], [-1, 1]])
    bending = np.array([[12, 6, -12, 6], [6, 4, -6, 2], [-12, -6, 12, -6], [6, 2, -6, 4]])
    for (shift, turn), sign, i in (((1, 5), 1, inertia[0]), ((2, 4), -1, inertia[1])):
        scale = np.array([1, sign * length, 1, sign * length])
        at = [shift, turn, shift + 6, turn + 6]
        k[np.ix_(at, at)] = e * i / length**3 * bending * np.outer(scale, scale)
    where = np.concatenate([np.array(axes) + offset for offset in (0, 3, 6, 9)])
    turned = np.zeros((12, 12))
    turned[np.ix_(where, where)] = k
    return turned


def sparse_solve(a, rng):
    b = rng.standard_normal(a.shape[0])
    # Beside the size of what it is made of: a stiff frame moves little under a load.
    size = abs(a).max()
    return lambda: spsolve(a, b), lambda x: np.linalg.norm(a @ x - b) / (size * np.linalg.norm(x))


def loop(size, rng):
    """No linear algebra: what a line of plain Python costs."""
    def work():
        total = 0.0
        for number in range(size):
            total += number * 0.5
        return total

    return work, lambda total: abs(total / (size * (size - 1) / 4) - 1)


def symmetric(size, rng):
    a = rng.standard_normal((size, size))
    return a @ a.T / size + np.eye(size)


def gap(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


CASES = {work.__name__: work for work in (matmul, solve, cholesky, qr, eigh, svd, poisson, frame, loop)}


def main(case: str, size: int, times: int, seconds_max: float):
    """Milliseconds of each of `times` computations after one that is not counted: fewer once `seconds_max` have passed,
    and that one alone where it has taken so long by itself.
    """
    work, error = CASES[case](size, np.random.default_rng(size))
    milliseconds, begun = [], perf_counter()
    for _ in range(times + 1):
        result = None
        started = perf_counter()
        result = work()
        ended = perf_counter()
        milliseconds.append((ended - started) * 1e3)
        if ended - begun > seconds_max:
            break
    return {"milliseconds": milliseconds[1:] or milliseconds, "error": float(error(result))}
