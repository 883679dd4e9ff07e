"""The shortest way from the host's `turn` into a task.

The interpreter's own `turn` parses its source to a tree, splits off a last expression, registers the
text for tracebacks and prints the value: more work than a small task. That function's code is replaced
here, for the sources that tasks, a batch's items and the end of a warm-up use; any other goes the old way.
"""

from types import FunctionType

import _reactor

from . import errors, items
from .task import run

TASK_TURN = b"_mecapy_run()"
ITEM_TURN = b"_mecapy_item()"
# The last turn of a warm-up. Compiling it would leave holes behind in the memory that it has just tidied.
SETTLE_TURN = b"_mecapy_settle()"

_settle = None


def turn(source, environ):
    """What the interpreter calls for a turn: (exit status, whether the session was quit)."""
    if source == TASK_TURN and environ is None:
        run()
        return 0, False
    if source == ITEM_TURN and environ is None:
        return items.run(), False
    if source is not None and source.strip() == SETTLE_TURN:
        return _settle_turn(), False
    return _turn(source, environ)


def _settle_turn():
    try:
        _settle()
    except errors.Failed as failure:
        failure.send()
    except BaseException as error:
        errors.send(error)
    else:
        return 0
    return 1


def _forward(source, environ):
    # The interpreter holds the function itself, whose globals are the `_reactor` module's.
    return _mecapy_turn(source, environ)  # noqa: F821


_turn = FunctionType(_reactor.turn.__code__, vars(_reactor), "turn")


def install(settle):
    """From now on `turn` goes through here; `settle` is what the warm-up's last turn calls."""
    global _settle
    _settle = settle
    _reactor._mecapy_turn = turn
    _reactor.turn.__code__ = _forward.__code__
