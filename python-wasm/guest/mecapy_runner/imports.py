"""What is done to some packages when they are first imported, in an image or in a task.

NumPy gets its 64-bit names, and compiled modules that index arrays take its 64-bit integers. SciPy's sparse solvers
ask the host first. matplotlib is told where its fonts and styles are: it looks for `mpl-data` beside its own
`__init__.py`, which is inside the library zip, and the recipe mounts that folder at MATPLOTLIB_HOME instead.
"""

import sys

from . import int64, sparse

MATPLOTLIB_HOME = "/usr/local/lib/matplotlib"
BACKEND = "module://mecapy_runner.backend"


class Finder:
    """Lets the other finders find the package, and has a word with it after its code has run."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        prepare = _PREPARE.get(name)
        if prepare is None:
            if not name.startswith(_COMPILED) or name not in sys.builtin_module_names:
                return None
            prepare = int64.accept_wide
        for finder in sys.meta_path:
            spec = None if finder is cls else finder.find_spec(name, path, target)
            if spec is not None:
                if name == "matplotlib":
                    spec.origin = f"{MATPLOTLIB_HOME}/__init__.py"
                spec.loader = _Loader(spec.loader, prepare)
                return spec
        return None


class _Loader:
    def __init__(self, loader, prepare):
        self._loader = loader
        self._prepare = prepare

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        self._prepare(module)

    def __getattr__(self, name):
        return getattr(self._loader, name)


def _prepare_numpy(numpy):
    int64.install(numpy)


def _prepare_sampling(module):
    # It fills arrays of `dtype=int` through buffers of C longs.
    int64.accept_wide(module)
    module.np = int64.NarrowNumpy(module.np)


def _prepare_matplotlib(matplotlib):
    for settings in (matplotlib.rcParams, matplotlib.rcParamsDefault, matplotlib.rcParamsOrig):
        settings["backend"] = BACKEND


# Packages whose compiled modules may be given 64-bit integers for indices.
_COMPILED = ("pandas._libs.", "sklearn.", "statsmodels.")
_PREPARE = {
    "numpy": _prepare_numpy,
    "matplotlib": _prepare_matplotlib,
    "scipy.sparse.linalg._dsolve.linsolve": sparse.install,
    "sklearn.utils._random": _prepare_sampling,
}


def install():
    """Called when an image is made, before either package is imported."""
    sys.meta_path.insert(0, Finder)
