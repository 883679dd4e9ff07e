"""What an image does before it is kept: rehearsals of whole tasks, then a clean desk."""

import gc
import io
import json
import linecache
import os
import sys
import warnings

from . import door, errors, figures, forms, seeding, settle, task, turns

# Young objects before a collection; Python's own 2 000 would have short tasks collect for nothing.
GC_YOUNG_MAX = 20_000

# (source, inputs) of the tasks that are run last, and how often. Warm-ups add theirs.
run_in_tasks = [
    ("result = 1 + 1", "{}"),
    ("print(1 + 1)", "{}"),
    ("def main(d, F=2.0):\n    return {'area': d * d, 'F': F}\n", '{"d": 3}'),
]
RUN_IN_TIMES = 30

# The image's memory has been arranged: what comes now is a package's warm-up over it.
_is_settled = False

WORK_FOLDER = "/work/out"
INPUT_FOLDER = "/work/in"


def rehearse(source, inputs="{}", entry=None, non_finite="reject"):
    """Runs a task against a door of its own and returns its frames as (operation, value) pairs."""
    request = {
        "source": source,
        "entry": entry,
        "inputs": inputs,
        "seed": 1,
        "non_finite": non_finite,
        "artifact_bytes_max": 1 << 20,
        "script_name": "task.py",
    }
    answer = json.dumps(request).encode()
    frames = []

    def call(frame):
        if frame == b"t":
            return answer
        frames.append((frame[:1].decode(), json.loads(frame[1:])))
        return b""

    main = sys.modules["__main__"]
    host = door.replace_host(call)
    try:
        task.run()
    finally:
        door.replace_host(host)
        sys.modules["__main__"] = main
        sys.modules.pop(task.MODULE_NAME, None)
    return frames


def expect(frames, operation):
    """Raises when a rehearsal did not end as it should, so that no such image is kept."""
    if not frames or frames[-1][0] != operation:
        raise RuntimeError(f"a rehearsal ended with {frames[-1:]!r}, not with {operation!r}")
    return frames[-1][1]


def finish():
    """Leaves the interpreter as a task should find it."""
    seeding.learn_numpy()
    turns.install(settle_down)
    seeding.reseed(0)
    _forget_rehearsals()
    warnings.resetwarnings()
    _default_warnings()
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.set_int_max_str_digits(0)
    sys.argv[:] = ["task.py"]
    os.chdir(WORK_FOLDER)
    if INPUT_FOLDER not in sys.path:
        sys.path.append(INPUT_FOLDER)
    gc.set_threshold(GC_YOUNG_MAX, 20, 100)


def settle_down():
    """The very last turn of a warm-up, which leaves nothing behind itself to be freed.

    A package's warm-up starts from an image that is arranged already, and adds little behind it: immortal objects
    and filled holes there would change more pages than they spare."""
    global _is_settled
    gc.collect()
    _refuse_open_files()
    if _is_settled:
        seeding.reseed(0)
        _forget_rehearsals()
        gc.collect()
    else:
        settle.make_immortal()
        _run_in()
        gc.collect()
        settle.fill_holes()
    _is_settled = True
    gc.freeze()


def _refuse_open_files():
    """A file that is open in the image is not open in the tasks that start from it."""
    for value in gc.get_objects():
        if isinstance(value, (io.RawIOBase, io.BufferedIOBase)) and not value.closed:
            try:
                descriptor = value.fileno()
            except OSError:
                continue
            if descriptor > 2:
                name = getattr(value, "name", value)
                raise errors.Failed(
                    "exception",
                    f"the file {name!r} is still open after the import and the calls that warm the code up: "
                    "close it, best by `with open(…) as file:`",
                )


def _run_in():
    """The shortest tasks, often enough that the interpreter has specialised their path and knows its blocks."""
    for _ in range(RUN_IN_TIMES):
        for source, inputs in run_in_tasks:
            rehearse(source, inputs)
    _forget_rehearsals()


def _forget_rehearsals():
    figures.forget()
    linecache.cache.pop(errors.script_name, None)
    sys.modules.pop(task.MODULE_NAME, None)
    # It remembers what lay in the folder.
    sys.path_importer_cache.pop(INPUT_FOLDER, None)
    for kind in list(forms._known):
        if kind.__module__ in ("__main__", task.MODULE_NAME):
            del forms._known[kind]
    for module in list(sys.modules.values()):
        registry = getattr(module, "__warningregistry__", None)
        if isinstance(registry, dict):
            registry.clear()


def _default_warnings():
    """Python's own filters, and none for `plt.show()` where there is no screen."""
    warnings.filterwarnings("default", category=DeprecationWarning, module="__main__")
    for quiet in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.filterwarnings("ignore", category=quiet, append=True)
    warnings.filterwarnings("ignore", message="Figure.* is non-interactive")
