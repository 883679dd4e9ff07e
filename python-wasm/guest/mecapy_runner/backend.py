"""The matplotlib backend that figures start with: Agg, whose `show()` makes artifacts."""

from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas
from matplotlib.backends.backend_agg import FigureManagerBase as FigureManager

from .figures import show

__all__ = ["FigureCanvas", "FigureManager", "show"]
