# As much of pytest as the suites of NumPy's and SciPy's linear algebra use, in the sandbox's own words.

import contextlib
import re
import warnings


class Skipped(BaseException):
    """Raised by a test that says it can't run here."""


class Failed(AssertionError):
    """Raised by a test that says it failed, or where an expected error or warning did not come."""


class Mark:
    def __init__(self, name, args=(), kwargs=None):
        self.name, self.args, self.kwargs = name, args, kwargs or {}

    def __call__(self, *args, **kwargs):
        """Marks a function or a class; called with anything else it takes arguments, and is to be applied later."""
        if len(args) == 1 and not kwargs and callable(args[0]):
            return self.applied(args[0])
        return MarkWithArguments(self.name, args, kwargs)

    def applied(self, what):
        # Not those of a base class, which are its own.
        what.suite_marks = [*vars(what).get("suite_marks", ()), self]
        return what


class MarkWithArguments(Mark):
    def __call__(self, what):
        return self.applied(what)


class Marks:
    def __getattr__(self, name):
        return Mark(name)


mark = Marks()


class Parameters:
    """One row of a parametrisation with marks of its own."""

    def __init__(self, *values, marks=(), id=None):
        self.values, self.marks = values, marks if isinstance(marks, (list, tuple)) else (marks,)


param = Parameters


class Caught:
    """What an expected error was."""

    value = type = None

    def match(self, pattern):
        return matched(pattern, self.value)


def matched(pattern, error):
    if not re.search(pattern, str(error)):
        raise Failed(f"{pattern!r} does not match {str(error)!r}")
    return True


@contextlib.contextmanager
def raising(expected, match):
    caught = Caught()
    try:
        yield caught
    except expected as error:
        caught.value, caught.type = error, type(error)
        if match is not None:
            matched(match, error)
        return
    raise Failed(f"{expected} was not raised")


def raises(expected, *call, match=None, **options):
    if not call:
        return raising(expected, match)
    with raising(expected, None) as caught:
        call[0](*call[1:], **options)
    return caught


@contextlib.contextmanager
def warning(expected, match):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield seen
    fits = [one for one in seen if issubclass(one.category, expected)]
    if not any(match is None or re.search(match, str(one.message)) for one in fits):
        raise Failed(f"no {expected} that matches {match!r}, but {[str(one.message) for one in seen]}")


def warns(expected=Warning, *call, match=None, **options):
    if not call:
        return warning(expected, match)
    with warning(expected, None):
        return call[0](*call[1:], **options)


def deprecated_call(*call, **options):
    return warns((DeprecationWarning, PendingDeprecationWarning), *call, **options)


def skip(reason="", *, allow_module_level=False):
    raise Skipped(reason)


def fail(reason="", pytrace=True):
    raise Failed(reason)


def xfail(reason=""):
    raise Skipped(f"expected to fail: {reason}")


def importorskip(name, *args, **kwargs):
    try:
        return __import__(name, fromlist=["*"])
    except ImportError as error:
        raise Skipped(str(error)) from error


def fixture(*args, **kwargs):
    """Fixtures are not made: what asks for one is told as such by its missing argument."""
    return args[0] if args and callable(args[0]) else lambda function: function
