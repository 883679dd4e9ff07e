"""Files of a package's function: names in the request and in the result, paths in between."""

from pathlib import Path, PurePath

INPUTS = "/work/in"
OUTPUTS = "/work/out"


def by_path(function, inputs, outputs):
    """`function` as a call makes it: it gets the files that `inputs` names as paths, and may give paths of files under
    `OUTPUTS` for `outputs`, which become names of artifacts."""

    def call(**values):
        for port in inputs:
            if port in values:
                values[port] = _each(values[port], lambda name: Path(INPUTS, name))
        result = function(**values)
        if isinstance(result, dict):
            return {port: _each(value, _name) if port in outputs else value for port, value in result.items()}
        return _each(result, _name) if "result" in outputs else result

    return call


def _each(value, change):
    if isinstance(value, list):
        return [_each(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _each(item, change) for key, item in value.items()}
    return change(value) if isinstance(value, str | PurePath) else value


def _name(path):
    path = PurePath(path)
    return str(path.relative_to(OUTPUTS) if path.is_relative_to(OUTPUTS) else path)
