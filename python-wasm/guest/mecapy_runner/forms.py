"""The JSON form of each type that JSON does not know, by the name of the type: no package is
imported to recognise its values. README.md has the table."""

import binascii
import dataclasses
from collections.abc import Mapping, Sequence, Set

from . import int64


class NoForm(TypeError):
    """The value has no JSON form; the text says what it is and what to return instead."""


def form(value):
    """A stand-in for `value`, one step nearer to JSON's own types. Raises `NoForm`."""
    kind = type(value)
    make = _known.get(kind)
    if make is None:
        make = _known[kind] = _find(kind, value)
    return make(value)


def is_complex(value):
    """Whether the value is one complex number: its form is an object, but it is a single value."""
    if isinstance(value, complex):
        return True
    return type(value).__name__.startswith(("complex", "clongdouble")) and type(value).__module__ == "numpy"


def type_name(value):
    kind = type(value)
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__", "task") else f"{module}.{kind.__qualname__}"


def _find(kind, value):
    for base in kind.__mro__:
        make = _BY_NAME.get(f"{base.__module__.partition('.')[0]}.{base.__qualname__}")
        if make is not None:
            return make
        if "__dataclass_fields__" in base.__dict__:
            return _dataclass
        if "__attrs_attrs__" in base.__dict__:
            return _attrs
    if isinstance(value, Mapping):
        return dict
    if isinstance(value, Set):
        return _set
    if isinstance(value, Sequence):
        return list
    return _unknown


# Python's own


def _complex(value):
    return {"re": value.real, "im": value.imag}


def _decimal(value):
    return str(value) if value.is_finite() else float("nan" if value.is_nan() else value)


def _isoformat(value):
    return value.isoformat()


def _seconds(value):
    return value.total_seconds()


def _base64(value):
    return binascii.b2a_base64(value, newline=False).decode()


def _set(value):
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=lambda item: (type(item).__name__, repr(item)))


def _dataclass(value):
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _attrs(value):
    return {attribute.name: getattr(value, attribute.name) for attribute in value.__attrs_attrs__}


def _value(value):
    return value.value


def _to_list(value):
    return value.tolist()


# NumPy


def _array(value):
    dtype = value.dtype
    kind = dtype.kind
    if kind in "biuU":
        if kind == "i" and dtype.itemsize == 4:
            int64.suspect(value)
        return value.tolist()
    if kind == "f":
        return (value.astype("f8") if dtype.char == "g" else value).tolist()
    if kind == "c":
        return (value.astype("c16") if dtype.char == "G" else value).tolist()
    if kind == "M" or kind == "m":
        return _times(value)
    if kind == "V" and value.ndim == 0:
        return _record(value[()])
    if kind == "V":
        return list(value)
    return value.tolist()


def _times(value):
    """Dates in ISO 8601, durations in seconds, NaT as null."""
    import numpy

    missing = numpy.isnat(value)
    if value.dtype.kind == "M":
        out = numpy.datetime_as_string(value)
    else:
        out = value / numpy.timedelta64(1, "s")
    if missing.any():
        out = out.astype(object)
        out = numpy.where(missing, None, out)
    return out.tolist()


def _numpy_scalar(value):
    kind = value.dtype.kind
    if kind == "b":
        return bool(value)
    if kind == "i" or kind == "u":
        if kind == "i" and value.itemsize == 4:
            int64.suspect(value)
        return int(value)
    if kind == "f":
        return float(value)
    if kind == "c":
        return _complex(complex(value))
    if kind == "M" or kind == "m":
        return _times(value)
    if kind == "V":
        return _record(value)
    return value.item()


def _record(value):
    names = value.dtype.names
    if names is None:
        return _base64(bytes(value))
    return {name: value[name] for name in names}


# pandas


def _series(value):
    index = value.index
    if _is_plain(index):
        return value.tolist()
    if index.is_unique and index.nlevels == 1:
        return dict(zip(_texts(index), value.tolist()))
    return {"index": index.tolist(), "values": value.tolist()}


def _frame(value):
    columns = {}
    if not _is_plain(value.index):
        for level in range(value.index.nlevels):
            name = value.index.names[level]
            if name is None:
                name = "index" if value.index.nlevels == 1 else f"index_{level}"
            _add_column(columns, str(name), value.index.get_level_values(level))
    for at, name in enumerate(value.columns):
        text = ".".join(map(str, name)) if isinstance(name, tuple) else str(name)
        _add_column(columns, text, value.iloc[:, at])
    return columns


def _add_column(columns, name, column):
    if name in columns:
        raise NoForm(f"is a DataFrame with two columns named {name!r}: rename one")
    columns[name] = column.tolist()


def _is_plain(index):
    return type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1


def _texts(index):
    return [key if isinstance(key, str) else key.isoformat() if hasattr(key, "isoformat") else str(key) for key in index]


def _none(value):
    return None


# What has no form


def _refuse(what):
    def make(value):
        raise NoForm(f"is {what}")

    return make


def _unknown(value):
    raise NoForm(
        f"is a value of type {type_name(value)}: return numbers, text, lists or dicts of them "
        "(a dataclass becomes an object by itself)"
    )


_FUNCTION = _refuse("a function: return numbers, text, lists or dicts, for instance what calling it gives")
_ITERATOR = _refuse("an iterator: wrap it in list(…)")
_SPARSE = _refuse("a sparse matrix: return it as .toarray().tolist(), or its .row, .col and .data after .tocoo()")
_FIGURE = _refuse("a part of a matplotlib figure: open figures become artifacts by themselves, so leave it out")
_FILE = _refuse("an open file: write it under /work/out and it becomes an artifact")
_COROUTINE = _refuse("a coroutine: an `async` function was called without `await`")

_BY_NAME = {
    "builtins.complex": _complex,
    "builtins.set": _set,
    "builtins.frozenset": _set,
    "builtins.bytes": _base64,
    "builtins.bytearray": _base64,
    "builtins.memoryview": _base64,
    "builtins.range": list,
    "builtins.dict_keys": list,
    "builtins.dict_values": list,
    "builtins.dict_items": list,
    "builtins.mappingproxy": dict,
    "builtins.function": _FUNCTION,
    "builtins.builtin_function_or_method": _FUNCTION,
    "builtins.method": _FUNCTION,
    "functools.partial": _FUNCTION,
    "numpy.ufunc": _FUNCTION,
    "builtins.type": _refuse("a class: return an instance's values"),
    "builtins.module": _refuse("a module: return values from it"),
    "builtins.generator": _ITERATOR,
    "builtins.map": _ITERATOR,
    "builtins.filter": _ITERATOR,
    "builtins.zip": _ITERATOR,
    "builtins.enumerate": _ITERATOR,
    "builtins.reversed": _ITERATOR,
    "builtins.list_iterator": _ITERATOR,
    "builtins.coroutine": _COROUTINE,
    "builtins.ellipsis": _refuse("Ellipsis (`...`), a placeholder: return a value"),
    "io.IOBase": _FILE,
    "_io._IOBase": _FILE,
    "types.SimpleNamespace": vars,
    "array.array": _to_list,
    "collections.deque": list,
    "collections.UserString": str,
    "decimal.Decimal": _decimal,
    "fractions.Fraction": str,
    "datetime.datetime": _isoformat,
    "datetime.date": _isoformat,
    "datetime.time": _isoformat,
    "datetime.timedelta": _seconds,
    "zoneinfo.ZoneInfo": str,
    "enum.Enum": _value,
    "uuid.UUID": str,
    "pathlib.PurePath": str,
    "numpy.ndarray": _array,
    "numpy.generic": _numpy_scalar,
    "numpy.MaskedArray": _to_list,
    "numpy.dtype": str,
    "pandas.DataFrame": _frame,
    "pandas.Series": _series,
    "pandas.Index": _to_list,
    "pandas.ExtensionArray": _to_list,
    "pandas.NaTType": _none,
    "pandas.NAType": _none,
    "pandas.Period": str,
    "pandas.Interval": str,
    "sympy.Integer": int,
    "sympy.Float": float,
    "sympy.BooleanTrue": bool,
    "sympy.BooleanFalse": bool,
    "sympy.MatrixBase": _to_list,
    "sympy.Basic": str,
    "mpmath.mpf": str,
    "scipy._spbase": _SPARSE,
    "scipy.sparray": _SPARSE,
    "scipy.spmatrix": _SPARSE,
    "matplotlib.Artist": _FIGURE,
    "matplotlib.FigureCanvasBase": _FIGURE,
}

# type → the function that makes its form; filled as types are met.
_known = {}
