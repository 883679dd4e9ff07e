"""Exceptions as the user should read them: the user's own lines, none of the runner's frames."""

import traceback

from . import door

MESSAGE_CHARS_MAX = 4_000
TRACEBACK_CHARS_MAX = 32_000
TRACEBACK_FRAMES_MAX = 2_000
TRACEBACK_FRAMES_TAIL = 100

# The file name under which the running task's source was compiled.
script_name = "task.py"

_TOO_LARGE = (
    "cannot fit 'int' into an index-sized integer",
    "Python int too large to convert to C ssize_t",
    "array is too big",
    "Maximum allowed dimension exceeded",
    "Maximum allowed size exceeded",
)
# Our own code: this package, and `mecapy` beside it. The source that calls a published function is named as if it
# were in there.
_RUNNER = __file__.rpartition("/")[0].rpartition("/")[0] + "/"
# The files of the published package whose function is called.
_PACKAGE = _RUNNER.rstrip("/").rpartition("/")[0] + "/package/"


class Failed(BaseException):
    """The task failed in a way that the runner itself can explain.

    Not an `Exception`, so that no handler in code that runs below the runner takes it."""

    def __init__(self, kind, message, line=None):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.line = line

    def send(self):
        door.send_error(self.kind, self.message, None, self.line)


def send(error):
    """Reports an exception that the user's code let through."""
    kind = _kind(error)
    line = None
    try:
        own = _own_frames(error)
        file, line = _place(error, own)
        message = message_of(error)
        if file is not None:
            message += f" ({file}, line {line})"
        door.send_error(kind, message, _traceback(error, own), line)
    except BaseException:
        # No memory to describe it, or an exception that resists description: its line is known all the same.
        door.send_error(kind, type(error).__name__, None, line)


def _kind(error):
    if isinstance(error, RecursionError) or _is_too_nested(error):
        return "stack_overflow"
    if isinstance(error, MemoryError) or _is_too_large(error):
        return "out_of_memory"
    return "exception"


def _is_too_large(error):
    """A size that no 32-bit address space can hold, as 'a' * 10**10 asks for."""
    return type(error) in (OverflowError, ValueError) and _text_of(error).startswith(_TOO_LARGE)


def _is_too_nested(error):
    """The parser's own stack is full: a source problem, whatever the exception's type."""
    return type(error) is MemoryError and _text_of(error).startswith("Parser stack")


def _text_of(error):
    return error.args[0] if error.args and type(error.args[0]) is str else ""


def message_of(error):
    """The exception's name and text in one string, whatever its own methods do."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__", "task"):
        name = f"{kind.__module__}.{name}"
    if isinstance(error, SystemExit):
        if isinstance(error.code, int):
            return f"SystemExit: the code ended itself with exit status {int(error.code)}"
    try:
        text = str(error)
    except BaseException:
        text = f"<its text can't be shown: {name}.__str__ raised>"
    text = f"{name}: {text}" if text else name
    if _is_too_large(error):
        text += " (one object can't have more than 2 GiB here)"
    elif isinstance(error, MemoryError) and not _is_too_nested(error):
        text += " (the task reached its memory limit)"
    return _cut(text, MESSAGE_CHARS_MAX)


def _own_frames(error):
    """The traceback from the user's first frame on; None when the user's code never ran."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_RUNNER):
        frame = frame.tb_next
    return frame


def _traceback(error, own):
    _hide_runner(error)
    described = traceback.TracebackException(type(error), error, own, limit=_limit(own), compact=True)
    text = "".join(described.format()).replace(f'File "{_PACKAGE}', 'File "')
    return _cut(text, TRACEBACK_CHARS_MAX)


def _limit(own):
    """None, or the last frames alone where the stack is deeper than anyone reads."""
    depth = 0
    while own is not None and depth <= TRACEBACK_FRAMES_MAX:
        own = own.tb_next
        depth += 1
    return None if depth <= TRACEBACK_FRAMES_MAX else -TRACEBACK_FRAMES_TAIL


def _hide_runner(error):
    """Takes the runner's frames out of the exceptions that this one came from."""
    seen = set()
    chain = [error]
    while chain:
        one = chain.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _own_frames(one)
        chain.append(one.__cause__)
        chain.append(one.__context__)


def _place(error, own):
    """The innermost line of the user's own code: its file, where that is a package's, and its number."""
    file = line = None
    while own is not None:
        name = own.tb_frame.f_code.co_filename
        if _is_own(name):
            file, line = name, own.tb_lineno
        own = own.tb_next
    if isinstance(error, SyntaxError) and _is_own(error.filename):
        file, line = error.filename, error.lineno
    if file is None or not file.startswith(_PACKAGE):
        return None, line
    return file[len(_PACKAGE) :], line


def _is_own(file):
    return file == script_name or type(file) is str and file.startswith(_PACKAGE)


def line_of(function):
    """Where the running source defines the function; None for one that it imports."""
    code = getattr(function, "__code__", None)
    return code.co_firstlineno if code is not None and code.co_filename == script_name else None


def _cut(text, chars_max):
    if len(text) <= chars_max:
        return text
    half = chars_max // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"

