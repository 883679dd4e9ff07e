"""Arranges an image's memory so that a task changes few pages of it.

A sandbox is reset by copying back each page that its task changed. Two things scatter changes over an image:
reference counts, which sit in every object that a task so much as looks at, and allocations, which fill the
holes that the warm-up left all over the heap. So what lives in the image becomes immortal, as CPython's own
constants are, and the holes are filled.
"""

import gc
import sys

# CPython writes no count of this size or above; from _IMMORTAL on an object is never freed.
_IMMORTAL_MIN = 0x4000_0000
_IMMORTAL = 0x5000_0000
_PAGE_BYTES = 65_536
_OBJECTS_AT_ONCE = 20_000

# Sizes of the blocks that fill holes, bytes, and how many in a row must lie beyond the image's last object
# before the holes of that size count as filled.
_SMALL_SIZES = range(0, 520, 4)
_LARGE_SIZES = range(520, 4_096, 64)
_BEYOND = 24
_BLOCKS_MAX = 60_000

_filling = []


def make_immortal():
    """Makes every object that is reachable now immortal; answers the address of the last. Needs NumPy, and does
    nothing without it."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return 0
    last = 0
    pending = gc.get_objects()
    counts = _reference_counts(numpy, pending)
    while pending:
        objects = pending[-_OBJECTS_AT_ONCE:]
        del pending[-_OBJECTS_AT_ONCE:]
        places = numpy.fromiter(map(id, objects), dtype=numpy.int64, count=len(objects))
        places, first = numpy.unique(places, return_index=True)
        last = max(last, int(places[-1]))
        slots = (places - _PAGE_BYTES) >> 2
        inside = slots < len(counts)
        slots, first = slots[inside], first[inside]
        mortal = counts[slots] < _IMMORTAL_MIN
        slots, first = slots[mortal], first[mortal]
        counts[slots] = _IMMORTAL
        fresh = [objects[at] for at in first.tolist()]
        pending += gc.get_referents(*fresh)
        for value in fresh:
            if type(value) is _CODE:
                # The collector doesn't look into code.
                pending += (value.co_consts, value.co_names, value.co_name, value.co_qualname, value.co_filename)
                pending += (value.co_linetable, value.co_exceptiontable)
    return last


def fill_holes(last):
    """Fills the free blocks among the image's objects, so that a task's own objects lie together behind them. The
    collector has lost sight of those that became immortal: `last` is the address of the last of them."""
    last = max(last, max(map(id, gc.get_objects()), default=0))
    for size in (*_SMALL_SIZES, *_LARGE_SIZES):
        beyond = 0
        for _ in range(_BLOCKS_MAX):
            block = bytes(size)
            _filling.append(block)
            beyond = beyond + 1 if id(block) > last else 0
            if beyond == _BEYOND:
                break


def _reference_counts(numpy, objects):
    """The interpreter's memory as 32-bit words, from _PAGE_BYTES on; an object's first is its count."""
    last = max(map(id, objects))

    class Memory:
        __array_interface__ = {
            "version": 3,
            "data": (_PAGE_BYTES, False),
            "shape": ((last - _PAGE_BYTES) // 4 + 1,),
            "typestr": "<u4",
        }

    return numpy.asarray(Memory())


_CODE = type(fill_holes.__code__)
