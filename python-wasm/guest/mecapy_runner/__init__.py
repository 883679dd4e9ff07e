"""The guest's side of a task: asks the host for it, runs the user's source, hands the result back.

Everything here is imported and exercised when an image is made, so a restored image runs a task
without reading a file. It knows the door (`_host.call`) and nothing of lanes, limits or storage.

    door       the frames that go to the host
    task       the calling convention
    call       why a call of the user's function did not fit its inputs
    encode     Python values to JSON text
    forms      the JSON form of each type that JSON does not know
    errors     exceptions as the user should read them
    figures    open matplotlib figures to PNG artifacts
    backend    the matplotlib backend that goes with them
    seeding    `random` and `numpy.random` from the task's seed
    int64      NumPy's default integer
    items      several tasks of one batch, one after the other
    turns      the shortest way from the host's `turn` to a task
    imports    what is done to NumPy, SciPy and matplotlib when they are first imported
    sparse     sparse linear systems by the host
    settle     an image's memory arranged so that a task changes few pages
    warmup     what an image does before it is kept
"""

from .task import run

__all__ = ["run"]
