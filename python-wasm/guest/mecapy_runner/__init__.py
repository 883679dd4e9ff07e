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
    seeding    `random` and `numpy.random` from the task's seed
    matplotlib_data   where matplotlib's fonts and styles are in this tree
    warmup     what an image does before it is kept
"""

from .task import run

__all__ = ["run"]
