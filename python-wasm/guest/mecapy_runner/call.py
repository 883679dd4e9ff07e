"""Why the user's function could not be called with the inputs it was given."""

import difflib
import inspect

from .errors import Failed, line_of

_DEFAULT_CHARS_MAX = 24


def check_entry(namespace, entry):
    """Raises `invalid_input`: the source binds nothing callable to `entry`."""
    functions = [name for name, value in namespace.items() if _is_own_function(name, value)]
    if entry in namespace:
        kind = type(namespace[entry]).__name__
        message = f"`{entry}` is not a function in this source: it is a value of type {kind}"
    else:
        message = f"the source defines no function `{entry}`{_suggestion(entry, functions)}"
    if functions:
        message += "; it defines " + ", ".join(f"`{name}`" for name in functions[:10])
    raise Failed("invalid_input", message)


def explain_call(function, name, inputs):
    """Raises `invalid_input` when the inputs don't fit the function's parameters; else returns."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return
    by_name = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [p.name for p in by_name]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    faults = []
    for given in inputs:
        if given not in names and not takes_any:
            faults.append(f"`{name}` has no parameter `{given}`{_suggestion(given, names)}")
    for p in parameters:
        if p.kind is p.POSITIONAL_ONLY and p.default is p.empty:
            faults.append(f"its parameter `{p.name}` can't be given by name: remove the `/` from the definition")
    for p in by_name:
        if p.default is p.empty and p.name not in inputs:
            faults.append(f"the input `{p.name}` is missing")
            if p.name == "inputs":
                faults.append(
                    "inputs arrive as keyword arguments, one for each: "
                    f"write `def {name}({', '.join(_identifiers(inputs)) or '…'})` or `def {name}(**inputs)`"
                )
    if not faults:
        return
    takes = ", ".join(_parameter(p) for p in parameters) or "no inputs"
    message = "; ".join(faults[:10])
    raise Failed("invalid_input", f"{message} (`{name}` takes {takes})", line=line_of(function))


def _parameter(parameter):
    text = parameter.name
    if parameter.kind is parameter.VAR_KEYWORD:
        return "**" + text
    if parameter.kind is parameter.VAR_POSITIONAL:
        return "*" + text
    if parameter.default is not parameter.empty:
        try:
            default = repr(parameter.default)
        except Exception:
            default = "…"
        if len(default) > _DEFAULT_CHARS_MAX:
            default = "…"
        text += "=" + default
    return text


def _identifiers(inputs):
    return [name for name in inputs if name.isidentifier()][:6]


def _suggestion(name, candidates):
    close = difflib.get_close_matches(name, candidates, 1, 0.6)
    if not close:
        close = [c for c in candidates if c.lower() == name.lower()][:1]
    return f" (did you mean `{close[0]}`?)" if close else ""


def _is_own_function(name, value):
    return callable(value) and not name.startswith("_") and getattr(value, "__module__", None) in ("task", "__main__")
