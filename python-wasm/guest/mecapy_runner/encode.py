"""Results as JSON text.

A value goes straight through the C encoder, which asks `forms` about the types that JSON does not
know. Only when that fails is it walked in Python: to name the place of the fault, or to write null
for NaN and infinity where the task asks for it.
"""

from json.encoder import c_make_encoder, encode_basestring

from . import forms
from .errors import Failed
from .forms import NoForm

DEPTH_MAX = 400

_encode = c_make_encoder(None, forms.form, encode_basestring, None, ":", ",", False, False, False)
_INFINITY = float("inf")


def result_text(value, non_finite):
    """The task's result as UTF-8 JSON: an object as it is, anything else as {"result": value}."""
    text = _text(value, non_finite == "null")
    if text.startswith(b"{") and not forms.is_complex(value):
        return text
    return b'{"result":%b}' % text


def _text(value, nulls):
    try:
        return "".join(_encode(value, 0)).encode()
    except (MemoryError, Failed):
        raise
    except Exception:
        # Not as it stands. The walk below names the fault, or cures it.
        pass
    value = _walk(value, None, nulls, 0)
    return "".join(_encode(value, 0)).encode()


def _walk(value, path, nulls, depth):
    """The value in JSON's own types; `path` is a chain of (parent, key)."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        _check_text(value, path)
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if value - value == 0.0:
            return value
        if nulls:
            return None
        raise _refused(path, f"is {_non_finite_name(value)}: JSON has no such number. "
                       'Check the computation, or ask for non_finite "null"')
    if depth > DEPTH_MAX:
        raise _refused(None, f"is nested deeper than {DEPTH_MAX} levels, or contains itself")
    if isinstance(value, dict):
        out = {}
        for key, item in value.items():
            name = _key(key, path)
            if name in out:
                raise _refused(path, f"has two members that are both written {name!r} in JSON")
            out[name] = _walk(item, (path, name), nulls, depth + 1)
        return out
    if isinstance(value, (list, tuple)):
        return [_walk(item, (path, at), nulls, depth + 1) for at, item in enumerate(value)]
    return _walk(_form(value, path), path, nulls, depth + 1)


def _form(value, path):
    try:
        return forms.form(value)
    except NoForm as no:
        raise _refused(path, str(no)) from None
    except (MemoryError, Failed):
        raise
    except Exception as error:
        kind = type(value).__name__
        raise _refused(path, f"({kind}) could not be written as JSON: {type(error).__name__}: {error}") from None


def _key(key, path):
    if isinstance(key, str):
        _check_text(key, path)
        return key
    if key is True:
        return "true"
    if key is False:
        return "false"
    if key is None:
        return "null"
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        if key - key != 0.0:
            raise _refused(path, f"has the key {_non_finite_name(key)}: a JSON object's keys are text")
        return float.__repr__(key)
    if not isinstance(key, tuple):
        try:
            plain = forms.form(key)
        except Exception:
            plain = key
        if isinstance(plain, (str, int, float)):
            return _key(plain, path)
    raise _refused(path, f"has a key of type {forms.type_name(key)}: a JSON object's keys are text, so write it as text")


def _check_text(text, path):
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refused(path, "holds half of a surrogate pair, which is no text in UTF-8") from None


def _non_finite_name(value):
    if value == _INFINITY:
        return "infinity"
    return "-infinity" if value == -_INFINITY else "NaN"


def _refused(path, what):
    parts = []
    while path is not None:
        path, key = path
        if isinstance(key, int):
            parts.append(f"[{key}]")
        elif key.isidentifier():
            parts.append(f".{key}")
        else:
            parts.append(f"[{key!r}]")
    return Failed("invalid_output", f"result{''.join(reversed(parts))} {what}")
