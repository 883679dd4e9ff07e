"""Sparse linear systems by the host: what `scipy.sparse.linalg` otherwise has its own SuperLU do.

SciPy's functions call two of a compiled module, `gssv` (solve) and `gstrf` (factor). `install` puts this layer between
them: a system of doubles that is large enough is described to the host by the addresses of its arrays. The host declines
whatever it can't do as well (a singular matrix, for one), and SuperLU does it then, with its own errors and warnings.
"""

import struct

import _host

# Smaller systems are solved sooner than the host is asked.
COLUMNS_MIN = 200
ELEMENTS_MIN = 1_000

_SOLVE, _ANALYSE, _FACTOR, _SOLVE_WITH = 1, 2, 3, 4
_DONE = b"+"

# Cholesky's method and LU, in the order of the sizes that an analysis answers.
_METHODS = (0, 1)

# What SuperLU is told where nobody chose anything.
_CHOICES = ("DiagPivotThresh", "PanelSize", "Relax")


def install(linsolve):
    """Has the functions of the freshly imported `scipy.sparse.linalg._dsolve.linsolve` ask the host first."""
    linsolve._superlu = Layer(linsolve._superlu, linsolve.np)


class Layer:
    """Stands for the compiled module, which it is given."""

    def __init__(self, superlu, numpy):
        self._superlu = superlu
        self._numpy = numpy

    def __getattr__(self, name):
        return getattr(self._superlu, name)

    def gssv(self, n, nnz, data, indices, indptr, b, flag, options=None):
        """The solution of one system, and 0; `flag` says whether the matrix is given by columns or by rows."""
        if n >= COLUMNS_MIN and nnz >= ELEMENTS_MIN:
            matrix = Matrix.of(self._numpy, n, nnz, (indptr, indices, data))
            if matrix and set(options or ()) <= {"ColPerm"} and self._fits(b, n):
                x = matrix.solve(b, is_transposed=not flag)
                if x is not None:
                    return x, 0
        return self._superlu.gssv(n, nnz, data, indices, indptr, b, flag, options=options)

    def gstrf(self, n, nnz, data, indices, indptr, **kwargs):
        """Factors of a matrix by columns."""
        if n >= COLUMNS_MIN and nnz >= ELEMENTS_MIN and _chooses_nothing(**kwargs):
            matrix = Matrix.of(self._numpy, n, nnz, (indptr, indices, data))
            factors = matrix and matrix.factor()
            if factors:
                matrix = matrix.copy()

                def by_superlu():
                    return self._superlu.gstrf(n, nnz, matrix.data, matrix.indices, matrix.indptr, **kwargs)

                return SuperLU(matrix, factors, by_superlu, self._superlu.SuperLU)
        return self._superlu.gstrf(n, nnz, data, indices, indptr, **kwargs)

    def _fits(self, b, n):
        is_of_doubles = type(b) is self._numpy.ndarray and b.dtype == self._numpy.float64
        return is_of_doubles and b.ndim in (1, 2) and b.shape[0] == n and b.size > 0


def _chooses_nothing(ilu=False, options=None, csc_construct_func=None):
    options = dict(options or {})
    order = options.pop("ColPerm", None)
    is_default = all(options.pop(name, None) is None for name in _CHOICES)
    return not ilu and not options and is_default and order in (None, "COLAMD")


class Matrix:
    """The arrays of a square matrix by columns."""

    def __init__(self, numpy, n, arrays):
        self.numpy = numpy
        self.n = n
        self.indptr, self.indices, self.data = arrays

    @classmethod
    def of(cls, numpy, n, nnz, arrays):
        """`None` unless they are as the host takes them."""
        for array, kind, length in zip(arrays, (numpy.int32, numpy.int32, numpy.float64), (n + 1, nnz, nnz)):
            if type(array) is not numpy.ndarray or array.dtype != kind or array.shape != (length,):
                return None
            if not (array.flags.c_contiguous and array.flags.aligned):
                return None
        return cls(numpy, n, arrays)

    def copy(self):
        return Matrix(self.numpy, self.n, [self.indptr.copy(), self.indices.copy(), self.data.copy()])

    def ask(self, operation, *numbers, is_transposed=False):
        """The host's answer to an operation on this matrix; `None` where it declines."""
        arrays = [_address(array) for array in (self.indptr, self.indices, self.data)]
        words = [self.n, self.data.size, *arrays, *numbers]
        request = struct.pack(f"<cBB6x{len(words)}Q", b"k", operation, is_transposed, *words)
        try:
            answer = _host.call(request)
        except Exception:
            # There is no host that knows of such requests where an image is rehearsed.
            return None
        return answer[1:] if answer[:1] == _DONE else None

    def solve(self, b, is_transposed=False, factors=None):
        """The solution for one or several right-hand sides, in the shape of `b`; `None` where the host declines."""
        b = self.numpy.require(self.numpy.asarray(b), self.numpy.float64, ["F", "A"])
        x = self.numpy.empty(b.shape, order="F")
        sides = _address(b), b.size // self.n, _address(x)
        if factors is None:
            answer = self.ask(_SOLVE, *sides, is_transposed=is_transposed)
        else:
            place = _address(factors), factors.nbytes
            answer = self.ask(_SOLVE_WITH, *place, *sides, is_transposed=is_transposed)
        return None if answer is None else x

    def factor(self):
        """Factors, which the host alone can read; `None` where it declines."""
        order = self.numpy.empty(self.n, self.numpy.int32)
        answer = self.ask(_ANALYSE, _address(order))
        if answer is None:
            return None
        for method, nbytes in zip(_METHODS, struct.unpack("<2Q", answer)):
            if nbytes == 0:
                continue
            try:
                factors = self.numpy.empty(nbytes // 8)
            except (MemoryError, ValueError, OverflowError):
                return None
            answer = self.ask(_FACTOR, _address(order), method, _address(factors), factors.nbytes)
            if answer is not None:
                return Factors(factors)
        return None


class Factors:
    """An array that holds factors. True, unlike arrays, whatever it holds."""

    def __init__(self, array):
        self.array = array


class SuperLU:
    """What `splu` returns where the host has factored: the object of SciPy's own, made only where more is asked of it
    than solutions."""

    def __init__(self, matrix, factors, by_superlu, kind):
        self._matrix = matrix
        self._factors = factors.array
        self._by_superlu = by_superlu
        self._kind = kind
        self._own = None

    @property
    def __class__(self):
        return self._kind

    @property
    def shape(self):
        return (self._matrix.n, self._matrix.n)

    def solve(self, rhs, trans="N"):
        if self._own is None and trans in ("N", "T", "H") and self._takes(rhs):
            x = self._matrix.solve(rhs, is_transposed=trans != "N", factors=self._factors)
            if x is not None:
                return x
        return self._made().solve(rhs, trans)

    def _takes(self, rhs):
        numpy = self._matrix.numpy
        if not isinstance(rhs, numpy.ndarray) or rhs.ndim not in (1, 2) or rhs.shape[0] != self._matrix.n:
            return False
        return rhs.size > 0 and numpy.can_cast(rhs.dtype, numpy.float64, "safe")

    def _made(self):
        if self._own is None:
            self._own = self._by_superlu()
            self._factors = None
        return self._own

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(f"'SuperLU' object has no attribute {name!r}")
        return getattr(self._made(), name)

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot pickle 'SuperLU' object")


def _address(array):
    return array.__array_interface__["data"][0]
