"""Draws numbers of a table against one another, as points or as a line for each group."""

from matplotlib.figure import Figure

INCHES = (8.0, 5.0)
DOTS_PER_INCH = 144
# So many points have markers that can be told apart.
MARKED_MAX = 2_000
# More points are drawn as pixels in an SVG too, which would be megabytes of paths.
PATHS_MAX = 5_000


def main(
    x: list[float],
    y: list[float],
    group: list[int],
    names: list[str],
    x_label: str,
    y_label: str,
    group_label: str | None,
    title: str,
    picture: str,
) -> dict[str, int]:
    """Writes the picture to /work/out, and answers how many points it has."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    style = {
        "marker": "o" if len(x) <= MARKED_MAX else ".",
        "markersize": 4 if len(x) <= MARKED_MAX else 2,
        "rasterized": len(x) > PATHS_MAX,
    }
    if group_label is None:
        axes.plot(x, y, linestyle="none", **style)
    else:
        lines = [draw_line(axes, x, y, group, place, style) for place in range(len(names))]
        add_legend(axes, lines, names, group_label)
    # What a user named is shown as it is, never read as mathematics.
    axes.set_xlabel(x_label, parse_math=False)
    axes.set_ylabel(y_label, parse_math=False)
    axes.set_title(title, parse_math=False)
    axes.grid(alpha=0.3)
    figure.savefig(f"/work/out/plot.{picture}", dpi=DOTS_PER_INCH)
    return {"points": len(x)}


def draw_line(axes, x: list[float], y: list[float], group: list[int], place: int, style: dict):
    """A line through the points of one group, from left to right."""
    points = sorted((x[at], y[at]) for at, of in enumerate(group) if of == place)
    colour = f"C{place}" if place < 10 else None
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    return axes.plot(xs, ys, linewidth=1.2, color=colour, **style)[0]


def add_legend(axes, lines: list, names: list[str], group_label: str) -> None:
    """A legend beside the axes."""
    # A leading underscore would hide the entry.
    shown = [f" {name}" if name.startswith("_") else name for name in names]
    legend = axes.legend(lines, shown, title=group_label, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for text in [legend.get_title(), *legend.get_texts()]:
        text.set_parse_math(False)
