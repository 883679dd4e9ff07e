# Cases of linear algebra by numbers alone, so that two runs compute the same: what differs then is rounding.
#
# `main` computes some cases of one family and tells of each what a rounding error can't change much: shapes, types,
# errors, norms and projections on fixed vectors, with the tolerance that two right answers must keep; and a sum over
# the bytes of its results, which a repeated run must have too.

import warnings
import zlib

import numpy as np

DTYPES = ("f4", "f8", "c8", "c16")
# Beside the machine's precision and the size of what is computed: how far two right answers may lie apart.
SLACK = 60.0

FAMILIES = {}


def family(function):
    FAMILIES[function.__name__] = function
    return function


def main(family: str, seed: int, first: int, count: int):
    warnings.simplefilter("ignore")
    cases = []
    with np.errstate(all="ignore"):
        for number in range(first, first + count):
            cases.append(one(family, seed, number))
    return {"cases": cases}


def one(family, seed, number):
    random = Random([seed, number, zlib.crc32(family.encode())])
    told = Told()
    try:
        FAMILIES[family](random, told)
    except Exception as error:  # noqa: BLE001 - any error of a computation is a result here
        told.error = f"{type(error).__name__}: {error}"
    return told.answer(f"{family} {number}: {' '.join(random.said)}")


class Told:
    """What is told of one case."""

    def __init__(self):
        self.error, self.forms, self.values, self.bits, self.strict = None, [], [], 0, True

    def answer(self, label):
        return {
            "label": label, "error": self.error, "forms": self.forms, "values": self.values, "bits": self.bits,
        }

    def exactly(self, what):
        """Must be the same text."""
        self.forms.append(str(what))

    def number(self, value, tolerance):
        self.values.append([float(value), float(tolerance)])

    def array(self, found, size=None, factor=1.0):
        """An array that is right to rounding. `size` is what rounding is relative to, the array's own norm if left out;
        `factor` allows more for what is ill-conditioned.
        """
        found = np.asarray(found)
        self.bytes(found)
        self.exactly(f"{found.shape} {found.dtype}")
        if found.dtype.kind not in "fc":
            self.number(np.sum(found.astype("f8")), 0.0)
            return
        wide = found.astype("c16").ravel()
        finite = np.isfinite(wide)
        if self.strict:
            # A complex infinity times a number is infinite or none, as the product is written.
            nans = np.count_nonzero(np.isnan(wide)) if found.dtype.kind == "f" else "some"
            self.exactly(f"{np.count_nonzero(~finite)} not finite, {nans} no number")
        else:
            self.exactly(f"finite: {finite.all()}")
            if not finite.all():
                return
        wide = np.where(finite, wide, 0)
        norm = np.sqrt(np.sum(np.abs(wide) ** 2))
        size = norm if size is None or not np.isfinite(size) else max(norm, float(size))
        tolerance = SLACK * factor * precision(found.dtype) * size
        weights = np.cos(np.arange(wide.size) * 0.7390851332151607 + 0.3)
        projected = np.sum(wide * weights)
        # A projection sums as many errors as there are elements.
        self.number(norm, tolerance)
        self.number(projected.real, tolerance * 4)
        self.number(projected.imag, tolerance * 4)

    def small(self, found, size, dtype, factor=1.0):
        """What is zero but for rounding."""
        found = np.asarray(found)
        gap = np.sqrt(np.sum(np.abs(found.astype("c16")) ** 2))
        if not np.isfinite(gap):
            self.exactly("not finite")
            return
        limit = SLACK * factor * precision(dtype) * max(float(size), 1e-300)
        self.exactly(f"small: {bool(gap <= limit)}" if gap <= limit else f"small: {gap} > {limit}")

    def bytes(self, found):
        self.bits = zlib.crc32(np.ascontiguousarray(found).tobytes(), self.bits)


def precision(dtype):
    return 2.0**-23 if np.dtype(dtype) in (np.dtype("f4"), np.dtype("c8")) else 2.0**-52


def norm(a):
    wide = np.asarray(a).astype("c16")
    return float(np.sqrt(np.sum(np.abs(np.where(np.isfinite(wide), wide, 0)) ** 2)))


class Random:
    """Choices and matrices. What was chosen is said, so that a failure names its case."""

    def __init__(self, seed):
        self.generator, self.said = np.random.default_rng(seed), []

    def pick(self, *choices):
        chosen = choices[self.generator.integers(len(choices))]
        self.said.append(str(chosen))
        return chosen

    def chance(self, share):
        return bool(self.generator.random() < share)

    def flag(self, name):
        chosen = self.chance(0.5)
        self.said.append(f"{name}={int(chosen)}")
        return chosen

    def size(self, most=140):
        """Often small, sometimes nothing, now and then beyond a block of any kernel."""
        kind = self.generator.random()
        if kind < 0.03:
            chosen = 0
        elif kind < 0.25:
            chosen = int(self.generator.integers(1, 9))
        elif kind < 0.75:
            chosen = int(self.generator.integers(9, max(10, most // 2)))
        else:
            chosen = int(self.generator.integers(most // 2, most + 1))
        self.said.append(str(chosen))
        return chosen

    def dtype(self):
        return np.dtype(self.pick(*DTYPES))

    def values(self, shape, dtype):
        dtype = np.dtype(dtype)
        if dtype.kind in "iu":
            return self.generator.integers(-9, 10, shape).astype(dtype)
        found = self.generator.standard_normal(shape)
        if dtype.kind == "c":
            found = found + 1j * self.generator.standard_normal(shape)
        return np.asarray(found).astype(dtype)

    def matrix(self, shape, dtype):
        return self.laid(self.values(shape, dtype))

    def dominant(self, n, dtype):
        """Well-conditioned, and pivots are elsewhere than on the diagonal."""
        found = self.values((n, n), dtype)
        found[np.arange(n), np.arange(n)] += 2 * np.sqrt(n) + 2
        return self.laid(found[self.generator.permutation(n)])

    def hermitian(self, n, dtype, positive=True):
        found = self.values((n, n), dtype)
        found = (found + found.conj().T) / 2
        if positive:
            found[np.arange(n), np.arange(n)] += 2 * np.sqrt(n) + 2
        return self.laid(found.astype(dtype))

    def triangle(self, n, dtype):
        """Well-conditioned; what is beyond the triangle is noise that must not be read."""
        found = self.values((n, n), dtype) / (n + 1)
        found[np.arange(n), np.arange(n)] += np.where(self.generator.random(n) < 0.5, -1, 1) * 2
        return self.laid(found.astype(dtype))

    def odd(self, a):
        """Sometimes an element is no number or infinite."""
        if a.size and a.dtype.kind in "fc" and self.chance(0.06):
            a = np.array(a)
            value = self.pick(np.nan, np.inf, -np.inf)
            a[tuple(self.generator.integers(0, n) for n in a.shape)] = value
        return a

    def laid(self, a):
        """The same values elsewhere in memory, or in another order."""
        kind = self.pick("C", "F", "reversed", "step", "inside", "misaligned", "C", "F", "transposed")
        if kind == "F":
            return np.asfortranarray(a)
        if kind == "reversed":
            turned = tuple(slice(None, None, -1) for _ in a.shape)
            return np.array(a[turned])[turned]
        if kind == "step":
            room = self.room([2 * n for n in a.shape], a.dtype)
            view = room[tuple(slice(None, None, 2) for _ in a.shape)]
            view[...] = a
            return view
        if kind == "inside":
            order = "F" if self.chance(0.5) else "C"
            room = np.asarray(self.room([n + 5 for n in a.shape], a.dtype), order=order)
            view = room[tuple(slice(2, n + 2) for n in a.shape)]
            view[...] = a
            return view
        if kind == "misaligned":
            plain = np.ascontiguousarray(a)
            data = bytearray(3) + plain.tobytes()
            return np.frombuffer(data, a.dtype, offset=3).reshape(a.shape) if a.size else plain
        if kind == "transposed":
            return np.array(a.T, order="C").T
        return np.ascontiguousarray(a)

    def room(self, shape, dtype):
        return np.full(shape, 77, dtype)
