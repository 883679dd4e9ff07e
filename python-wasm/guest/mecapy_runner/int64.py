"""NumPy's default integer with 64 bits, as far as Python code decides it.

The recipe's patches do the rest, inside NumPy: what a list of ints, `dtype=int`, `arange` and a sum become.
Indices that NumPy itself computes (`argsort`, `where`, `argmax`, …) stay 32 bits wide, so a result that looks
like a product of such indices gone wrong is worth a warning.
"""

import functools

# An index is never negative and never as large as this here; a product that wrapped usually is either.
_INDEX_MAX = 1 << 27
_INDEX_MIN = -(1 << 20)

_ASKED_FOR = ("int32", "intc", "i4", "intp")

suspicious = False


def install(numpy):
    """Gives the freshly imported package the names that it has on a 64-bit machine."""
    names = numpy._core.numerictypes.sctypeDict
    # Not `long` and `ulong`: those name the C types, which SciPy's compiled code asks for.
    wide = {"int": numpy.int64, "int_": numpy.int64, "uint": numpy.uint64}
    for name, kind in wide.items():
        names[name] = kind
        for module in (numpy, numpy._core, numpy._core.numerictypes, numpy._core.numeric):
            if hasattr(module, name):
                setattr(module, name, kind)
    # What an array may print as without saying its type, and what `genfromtxt` takes text for.
    plain = numpy._core.arrayprint._typelessdata
    plain[:] = [numpy.int64 if kind is numpy.long else kind for kind in plain]
    converter = numpy.lib._iotools.StringConverter
    converter._mapper = [entry for entry in converter._mapper if entry[0] is not numpy.long]
    _widen_count_nonzero(numpy)
    _widen_randint(numpy)


def accept_wide(module):
    """Lets the functions of a compiled module take 64-bit integers where they ask for 32-bit indices.

    Such modules declare index arrays as `intp`, 64 bits wide on every other machine and 32 here. A call that is
    refused for that reason is repeated with arrays of the declared width, and what it wrote into them is copied back.
    """
    for name, function in list(vars(module).items()):
        if type(function).__name__ == "cython_function_or_method":
            setattr(module, name, _narrowing(function))


class NarrowNumpy:
    """NumPy as compiled code that declares C longs expects it: there, `dtype=int` makes arrays of those."""

    def __init__(self, numpy):
        self._numpy = numpy

    def __getattr__(self, name):
        value = getattr(self._numpy, name)
        if name not in ("arange", "array", "asarray", "empty", "full", "ones", "zeros"):
            return value

        def make(*args, dtype=None, **kwargs):
            return value(*args, dtype=self._numpy.long if dtype is int else dtype, **kwargs)

        return make


def _narrowing(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            if not str(error).endswith("but got 'long long'"):
                raise
        return _call_narrow(function, args, kwargs)

    return call


def _call_narrow(function, args, kwargs):
    import numpy

    narrowed = []

    def narrow(value):
        if isinstance(value, numpy.ndarray) and value.dtype == numpy.int64:
            narrowed.append((value, value.astype(numpy.intp, casting="same_kind")))
            return narrowed[-1][1]
        if type(value) in (list, tuple):
            return type(value)(map(narrow, value))
        return value

    answer = function(*map(narrow, args), **{name: narrow(value) for name, value in kwargs.items()})
    for wide, thin in narrowed:
        if wide.flags.writeable and not numpy.array_equal(wide, thin):
            wide[...] = thin
    return answer


def suspect(values):
    """Looks at 32-bit integers on their way into the result."""
    global suspicious
    if not suspicious and values.size and (values.max() > _INDEX_MAX or values.min() < _INDEX_MIN):
        suspicious = True


def warning(source):
    """What to say about the result of this source, or None."""
    global suspicious
    if not suspicious:
        return None
    suspicious = False
    if any(name in source for name in _ASKED_FOR):
        return None
    return (
        "the result holds 32-bit integers that may have wrapped: indices from argsort, where, argmax and the like "
        "are 32 bits wide here; call .astype(int) on them before multiplying"
    )


def _widen_count_nonzero(numpy):
    numeric = numpy._core.numeric
    count = numeric.multiarray.count_nonzero

    def count_nonzero(array):
        return numpy.int64(count(array))

    numeric.multiarray.count_nonzero = count_nonzero


def _widen_randint(numpy):
    legacy = numpy.random.mtrand
    narrow = legacy.randint

    @functools.wraps(narrow)
    def randint(low, high=None, size=None, dtype=int):
        return narrow(low, high, size, numpy.int64 if dtype is int else dtype)

    legacy.randint = numpy.random.randint = randint
