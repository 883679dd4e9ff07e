"""The calling convention: `main` (or the task's entry) with the inputs as keyword arguments, or a
script that reads `inputs` and binds `result`."""

import json
import linecache
import sys
from types import ModuleType

from . import door, encode, errors, figures, int64, seeding
from .call import check_entry, explain_call
from .errors import Failed

# The module name of a source that defines the function to call. A script is `__main__` instead, so
# that its `if __name__ == "__main__":` block runs.
MODULE_NAME = "task"

# A batch's items have one source: it comes with the first, and is kept with its code where it compiles.
_kept = None

_decoder = json.decoder.JSONDecoder()
_scan = _decoder.scan_once
_modules = sys.modules
_stdout = sys.stdout
_stderr = sys.stderr


def run(keeps=False):
    """Runs one task from its first frame to its last. Never raises. `keeps`: others with the same source follow, which
    come without it."""
    module = ModuleType("__main__")
    value = None
    try:
        task = door.fetch_task()
        seeding.reseed(task["seed"])
        value = _execute(task, module, keeps)
        text = encode.result_text(value, task["non_finite"])
        if int64.suspicious:
            _warn_of_int32(task["source"])
        figures.save_open(task["artifact_bytes_max"])
        door.send_result(text)
    except Failed as failure:
        failure.send()
    except BaseException as error:
        errors.send(error)
    # Files that the user's code left open are closed and written out, as when an interpreter ends.
    value = None
    module.__dict__.clear()
    _flush(sys.stdout)
    _flush(sys.stderr)
    _flush(_stdout)
    _flush(_stderr)


def _execute(task, module, keeps):
    """Runs the user's source in `module` and returns the value that is its result."""
    name = task["script_name"]
    source = task["source"]
    code = None
    if source is None:
        task["source"], code = _kept
        source = task["source"]
    elif keeps:
        _keep(source, None)
    errors.script_name = name
    linecache.cache[name] = (lambda: source,)
    inputs = _inputs(task["inputs"])
    if code is None:
        code = compile(source, name, "exec", 0, True)
        if keeps:
            _keep(source, code)
    entry = task["entry"]

    namespace = module.__dict__
    namespace["__file__"] = name
    _modules["__main__"] = _modules[MODULE_NAME] = module
    if entry is None and not _binds(code, "main"):
        namespace["inputs"] = inputs
        return _run_script(code, namespace)
    namespace["__name__"] = MODULE_NAME
    return _run_function(code, namespace, entry, inputs)


def _keep(source, code):
    global _kept
    _kept = source, code


def _run_script(code, namespace):
    try:
        exec(code, namespace)
    except SystemExit as end:
        _check_exit(end)
    return _bound_result(namespace)


def _bound_result(namespace):
    """What a script bound to `result`; a script that bound nothing is told how to answer with something."""
    if "result" not in namespace:
        door.send_warning("no_result", _NO_RESULT)
    return namespace.get("result")


_NO_RESULT = (
    "the code defines no function main and binds nothing to result, so the result is null: "
    "write `def main(…): … return value`, or `result = value`"
)


def _run_function(code, namespace, entry, inputs):
    try:
        exec(code, namespace)
        function = namespace.get(entry or "main")
        if not callable(function):
            if entry is None:
                # `main` was bound to something else, or unbound again: it is a script after all.
                return _bound_result(namespace)
            check_entry(namespace, entry)
        declared = getattr(function, "__mecapy__", None)
        if declared is not None:
            return _run_declared(declared, inputs)
        try:
            return function(**inputs)
        except TypeError as error:
            # Raised by the call itself, before the function's first line?
            if error.__traceback__.tb_next is None:
                explain_call(function, entry or "main", inputs)
            raise
    except SystemExit as end:
        _check_exit(end)
        return None


def _run_declared(declared, inputs):
    """A function that `mecapy.function` decorates: its ports say what goes in and what comes out."""
    mecapy = _modules["mecapy"]
    try:
        read = declared.read(inputs)
    except mecapy.DeclarationError as error:
        line = errors.line_of(declared.call)
        raise Failed("exception", f"DeclarationError: {error}", line) from None
    except mecapy.InputError as error:
        raise Failed("invalid_input", str(error)) from None
    value = declared.call(**read.values)
    try:
        written = declared.write(value, inputs=read.values)
    except mecapy.OutputError as error:
        raise Failed("invalid_output", str(error)) from None
    for message in read.warnings + written.warnings:
        door.send_warning("outside_validity", message)
    return written.values


def _inputs(text):
    try:
        # The scanner wants no white space around the text; the decoder takes it away at a price.
        inputs = _scan(text, 0)[0] if text[:1] == "{" else _decoder.decode(text)
    except RecursionError:
        raise Failed("invalid_input", "the inputs are nested too deeply") from None
    except ValueError as error:
        raise Failed("invalid_input", f"the inputs are not JSON: {error}") from None
    if type(inputs) is not dict:
        raise Failed("invalid_input", "the inputs must be a JSON object: one member for each input")
    return inputs


_STORE_NAME = None
_EXTENDED_ARG = None


def _binds(code, name):
    """Whether a module's code assigns to the global `name` (by `def`, `=`, `import`, …)."""
    names = code.co_names
    if name not in names:
        return False
    index = names.index(name)
    instructions = code.co_code
    operation = bytes((_STORE_NAME, index & 255))
    at = instructions.find(operation)
    while at >= 0:
        high = 0
        if at >= 2 and instructions[at - 2] == _EXTENDED_ARG:
            high = instructions[at - 1]
        if at % 2 == 0 and high == index >> 8:
            return True
        at = instructions.find(operation, at + 1)
    return False


def _warn_of_int32(source):
    message = int64.warning(source)
    if message is not None:
        door.send_warning("int32", message)


def _check_exit(end):
    """`sys.exit()` and `sys.exit(0)` end a task normally; any other status is its failure."""
    status = end.code
    if status is None or (isinstance(status, int) and status == 0):
        return
    raise end


def _flush(stream):
    try:
        stream.flush()
    except BaseException:
        pass


def _learn_bytecode():
    global _STORE_NAME, _EXTENDED_ARG
    from opcode import opmap

    _STORE_NAME, _EXTENDED_ARG = opmap["STORE_NAME"], opmap["EXTENDED_ARG"]


_learn_bytecode()
