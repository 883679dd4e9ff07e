"""Where matplotlib finds its fonts and styles in this tree, and the backend it starts with.

matplotlib looks for `mpl-data` beside its own `__init__.py`, which is inside the library zip; the
recipe mounts that folder at DATA_HOME instead.
"""

import sys

DATA_HOME = "/usr/local/lib/matplotlib"
BACKEND = "module://mecapy_runner.figures"


class Finder:
    """Finds matplotlib once, says that it lives in DATA_HOME, and steps aside."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "matplotlib":
            return None
        for finder in sys.meta_path:
            if finder is cls:
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                spec.origin = f"{DATA_HOME}/__init__.py"
                spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader:
    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        module.rcParams["backend"] = BACKEND
        module.rcParamsDefault["backend"] = BACKEND
        module.rcParamsOrig["backend"] = BACKEND

    def __getattr__(self, name):
        return getattr(self._loader, name)


def install():
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)
