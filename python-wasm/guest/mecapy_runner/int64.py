"""NumPy's default integer with 64 bits, as far as Python code decides it.

The recipe's patches do the rest, inside NumPy: what a list of ints, `dtype=int`, `arange` and a sum become.
Indices that NumPy itself computes (`argsort`, `where`, `argmax`, …) stay 32 bits wide, so a result that looks
like a product of such indices gone wrong is worth a warning.
"""

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
    _widen_count_nonzero(numpy)


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
