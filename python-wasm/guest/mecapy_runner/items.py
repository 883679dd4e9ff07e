"""The items of a batch, one after the other in one interpreter.

Each is a whole task in a namespace of its own. What it changed around itself is put back, as far as it can be: the
table below. What it changed inside modules of the library or of a published package stays, as whoever asks for a
shared interpreter is told. Whatever can't be put back ends the interpreter: the next item gets another.

    put back     the module path and hooks, the streams, limits and hooks of `sys`, the working folder, the
                 environment, built-in names, warning filters, the collector's settings, functions registered for
                 the exit, matplotlib's settings and figures
    apart        context variables: decimal's context, NumPy's error state and print options
    forgotten    modules that were imported from /work or /tmp
    a task's     seeds, namespace, source lines: new for each, as ever
    stays        attributes, caches and options of library and package modules
"""

import atexit
import builtins
import contextvars
import decimal
import gc
import os
import sys
import tempfile
import warnings

from . import figures, forms, int64, task

# The answer to the host: whether the interpreter can serve another item.
FIT, SPENT = 0, 1

_WORK = "/work/out"
_OWN_FOLDERS = ("/work/", "/tmp/")
_SYS_VALUES = (
    *("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"),
    *("displayhook", "excepthook", "unraisablehook", "tracebacklimit", "dont_write_bytecode"),
    *("path", "argv", "meta_path", "path_hooks", "modules"),
)
_SYS_LISTS = ("path", "argv", "meta_path", "path_hooks")
_ABSENT = object()

_modules = sys.modules
_start = None


def run():
    """Runs one item; answers whether another may follow."""
    global _start
    if _start is None:
        _start = _Start()
    contextvars.copy_context().run(_run)
    try:
        return FIT if _start.put_back() else SPENT
    except BaseException:
        # What resists is not worth knowing: a new interpreter is as it should be.
        return SPENT


def _run():
    # The context is a copy, but the settings of decimal in it are one object, which the copy would share.
    decimal.setcontext(decimal.getcontext().copy())
    task.run(keeps=True)


class _Start:
    """How the first item found the interpreter."""

    def __init__(self):
        self.builtins = dict(vars(builtins))
        self.values = [(name, getattr(sys, name, _ABSENT)) for name in _SYS_VALUES]
        self.lists = [(getattr(sys, name), list(getattr(sys, name))) for name in _SYS_LISTS]
        self.recursion_limit = sys.getrecursionlimit()
        self.digits_max = sys.get_int_max_str_digits()
        self.streams = [(stream, _manner(stream)) for stream in (sys.stdout, sys.stderr)]
        self.environment = dict(os.environ._data)
        self.filters = list(warnings.filters)
        self.collects = gc.isenabled()
        self.collects_at = gc.get_threshold()
        self.temporary = tempfile.tempdir, tempfile._name_sequence
        self.modules = dict(_modules)
        self.importers = len(sys.path_importer_cache)
        self.forms = len(forms._known)
        matplotlib = _modules.get("matplotlib")
        self.drawing = None if matplotlib is None else dict.copy(matplotlib.rcParams)

    def put_back(self):
        """Answers whether everything is as it was."""
        names = vars(builtins)
        if names != self.builtins:
            names.clear()
            names.update(self.builtins)
        self._put_back_sys()
        self._put_back_settings()
        self._put_back_drawing()
        if len(_modules) != len(self.modules):
            self._forget_modules()
        if len(sys.path_importer_cache) != self.importers:
            self._forget_importers()
        if len(forms._known) != self.forms:
            self._forget_forms()
        int64.suspicious = False
        # Cycles of this item's objects would else end, and close files, while another one runs. What outlives that is
        # the library's, and nothing that the next collection need look at.
        gc.collect()
        gc.freeze()
        return self._streams_are_open()

    def _put_back_sys(self):
        for name, value in self.values:
            if getattr(sys, name, _ABSENT) is value:
                continue
            if value is _ABSENT:
                delattr(sys, name)
            else:
                setattr(sys, name, value)
        for values, before in self.lists:
            if values != before:
                values[:] = before
        if sys.gettrace() is not None:
            sys.settrace(None)
        if sys.getprofile() is not None:
            sys.setprofile(None)
        if sys.getrecursionlimit() != self.recursion_limit:
            sys.setrecursionlimit(self.recursion_limit)
        if sys.get_int_max_str_digits() != self.digits_max:
            sys.set_int_max_str_digits(self.digits_max)

    def _streams_are_open(self):
        for stream, manner in self.streams:
            if stream.closed:
                return False
            if _manner(stream) != manner:
                encoding, on_error, line_buffering, write_through = manner
                stream.reconfigure(
                    encoding=encoding, errors=on_error, line_buffering=line_buffering, write_through=write_through
                )
        return True

    def _put_back_settings(self):
        if os.environ._data != self.environment:
            os.environ.clear()
            for name, value in self.environment.items():
                os.environ[os.fsdecode(name)] = os.fsdecode(value)
        if os.getcwd() != _WORK:
            os.chdir(_WORK)
        if warnings.filters != self.filters:
            warnings.resetwarnings()
            warnings.filters[:] = self.filters
        if self.collects and not gc.isenabled():
            gc.enable()
        if gc.get_threshold() != self.collects_at:
            gc.set_threshold(*self.collects_at)
        # Its random names are the item's: they come from its seed.
        tempfile.tempdir, tempfile._name_sequence = self.temporary
        atexit._clear()

    def _put_back_drawing(self):
        figures.forget()
        helpers = _modules.get("matplotlib._pylab_helpers")
        if helpers is not None and helpers.Gcf.figs:
            helpers.Gcf.destroy_all()
        fonts = _modules.get("matplotlib.font_manager")
        if fonts is not None:
            # It keeps the files of fonts open.
            fonts._get_font.cache_clear()
        matplotlib = _modules.get("matplotlib")
        if matplotlib is None:
            return
        if self.drawing is None:
            self.drawing = dict.copy(matplotlib.rcParamsOrig)
        if dict.__ne__(matplotlib.rcParams, self.drawing):
            dict.clear(matplotlib.rcParams)
            dict.update(matplotlib.rcParams, self.drawing)

    def _forget_modules(self):
        """Forgets the item's own modules, and has those again that it removed. What it imported of the library stays."""
        for name, module in list(_modules.items()):
            if name in self.modules:
                continue
            if _is_own(module):
                del _modules[name]
            else:
                self.modules[name] = module
        for name, module in self.modules.items():
            _modules.setdefault(name, module)

    def _forget_importers(self):
        """They remember what lay in the item's folders."""
        for folder in list(sys.path_importer_cache):
            if folder.startswith(_OWN_FOLDERS):
                del sys.path_importer_cache[folder]
        self.importers = len(sys.path_importer_cache)

    def _forget_forms(self):
        for kind in list(forms._known):
            if kind.__module__ in ("__main__", task.MODULE_NAME) or kind.__module__ not in _modules:
                del forms._known[kind]
        self.forms = len(forms._known)


def _manner(stream):
    return stream.encoding, stream.errors, stream.line_buffering, stream.write_through


def _is_own(module):
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(isinstance(place, str) and place.startswith(_OWN_FOLDERS) for place in places)
