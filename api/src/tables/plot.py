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
        lines = draw_lines(axes, x, y, group, len(names), style)
        add_legend(axes, lines, names, group_label)
    # What a user named is shown as it is, never read as mathematics.
    axes.set_xlabel(x_label, parse_math=False)
    axes.set_ylabel(y_label, parse_math=False)
    axes.set_title(title, parse_math=False)
    axes.grid(alpha=0.3)
    figure.savefig(f"/work/out/plot.{picture}", dpi=DOTS_PER_INCH)
    return {"points": len(x)}


def draw_lines(
    axes, x: list[float], y: list[float], group: list[int], count: int, style: dict
) -> list:
    """A line through the points of each group, from left to right."""
    points: list[list[tuple[float, float]]] = [[] for _ in range(count)]
    for at, place in enumerate(group):
        points[place].append((x[at], y[at]))
    if len(x) > MARKED_MAX:
        style = {**style, "marker": ""}
    lines = []
    for place, of in enumerate(points):
        of.sort()
        colour = f"C{place}" if place < 10 else None
        xs, ys = [point[0] for point in of], [point[1] for point in of]
        lines += axes.plot(xs, ys, linewidth=1.2, color=colour, **style)
    return lines


def add_legend(axes, lines: list, names: list[str], group_label: str) -> None:
    """A legend beside the axes."""
    # A leading underscore would hide the entry.
    shown = [f" {name}" if name.startswith("_") else name for name in names]
    legend = axes.legend(
        lines, shown, title=group_label, loc="center left", bbox_to_anchor=(1.0, 0.5)
    )
    for text in [legend.get_title(), *legend.get_texts()]:
        text.set_parse_math(False)
