"""Open matplotlib figures become PNG artifacts."""

import os
import sys

from .errors import Failed

FOLDER = "/work/out"
FIGURES_MAX = 50
FIGURE_PIXELS_MAX = 40_000_000

_saved = 0


def save_open(artifact_bytes_max):
    """Saves and closes the figures that the task left open. Raises `invalid_artifact`."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is not None and helpers.Gcf.figs:
        _save(helpers.Gcf, artifact_bytes_max)


def show(*args, **kwargs):
    """matplotlib's `plt.show()`: saves what is open and closes it, as closing the windows would."""
    save_open(None)


def _save(gcf, artifact_bytes_max):
    global _saved
    os.makedirs(FOLDER, exist_ok=True)
    for number, manager in sorted(gcf.figs.items()):
        if _saved >= FIGURES_MAX:
            raise Failed("invalid_artifact", f"more than {FIGURES_MAX} figures: close those you don't need")
        figure = manager.canvas.figure
        _check_size(figure, number)
        path = _next_path()
        figure.savefig(path, format="png")
        size = os.stat(path).st_size
        if artifact_bytes_max is not None and size > artifact_bytes_max:
            os.remove(path)
            raise Failed(
                "invalid_artifact",
                f"figure {number} has {size:,} bytes as PNG, more than the {artifact_bytes_max:,} that artifacts may have",
            )
    gcf.destroy_all()


def _next_path():
    global _saved
    while True:
        _saved += 1
        path = f"{FOLDER}/figure-{_saved}.png"
        if not os.path.exists(path):
            return path


def _check_size(figure, number):
    from matplotlib import rcParams

    dpi = rcParams["savefig.dpi"]
    dpi = figure.dpi if dpi == "figure" else dpi
    width, height = (side * dpi for side in figure.get_size_inches())
    if width * height > FIGURE_PIXELS_MAX:
        raise Failed(
            "invalid_artifact",
            f"figure {number} would be {width:.0f} × {height:.0f} pixels, more than {FIGURE_PIXELS_MAX:,}: "
            "make its figsize (inches) or dpi smaller",
        )


def forget():
    """Called when an image is made: no figure was saved yet."""
    global _saved
    _saved = 0
