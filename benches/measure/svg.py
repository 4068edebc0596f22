"""Plots of lines as SVG: axes with ticks, a legend, and colours that can be read on a light and on a dark page."""

import math
from html import escape

WIDTH, HEIGHT = 760, 400

# Where the lines are: room for the title above, for labels left and below, for the legend on the right.
LEFT, TOP, RIGHT, BOTTOM = 76, 48, 560, 340

# Colours of series, for light and for dark pages; they differ in lightness too.
COLOURS = [
    ("#0b62c4", "#6cb0ff"),
    ("#c2410c", "#ff9a62"),
    ("#15803d", "#5fd38a"),
    ("#7e22ce", "#c79bff"),
    ("#6b7280", "#a3aab5"),
    ("#a16207", "#e5c04b"),
]

# Marks that tell series apart without colour, as paths around their point.
MARKS = [
    "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "m-4 -4h8v8h-8z",
    "m0 -5l5 9h-10z",
    "m0 -5l5 5l-5 5l-5 -5z",
    "m0 5l5 -9h-10z",
    "m-5 -1.5h10v3h-10z",
]

TEXT, GRID, PAGE = ("#1f2328", "#e6edf3"), ("#d4d9df", "#3a424c"), ("#ffffff", "#0d1117")

# Steps between ticks, times a power of ten.
STEPS = (1, 2, 5)


class Series:
    """A line: its name, and its points from left to right."""

    def __init__(self, name, points):
        self.name = name
        self.points = points


class Axis:
    """A direction of a plot: from values to places, and the values that are written beside it."""

    def __init__(self, label, values, begin, end, is_log):
        self.label = label
        self._begin, self._end = begin, end
        self._is_log = is_log and min(values) > 0
        if self._is_log:
            self.ticks = _log_ticks(min(values), max(values))
        else:
            # Nothing is cut off: a line twice as high is twice as much.
            self.ticks = _ticks(max(values))
        self._low, self._high = self._scaled(self.ticks[0]), self._scaled(self.ticks[-1])

    def place(self, value):
        share = (self._scaled(value) - self._low) / (self._high - self._low)
        return round(self._begin + share * (self._end - self._begin), 1)

    def _scaled(self, value):
        return math.log10(value) if self._is_log else value


def lines(title, x_label, y_label, series, log_x=False, log_y=False):
    """A plot; on a scale of logarithms where that is said and all values have one."""
    points = [point for one in series for point in one.points]
    x = Axis(x_label, [point[0] for point in points], LEFT, RIGHT, log_x)
    y = Axis(y_label, [point[1] for point in points], BOTTOM, TOP, log_y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f"<style>{_style(len(series))}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text x="{LEFT}" y="26" font-size="15" font-weight="600">{escape(title)}</text>',
    ]
    parts += _grid(x, y)
    for place, one in enumerate(series):
        parts += _series(place, one, x, y)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _style(count):
    """Colours by class, for both kinds of page."""

    def rules(dark):
        found = [f"text{{fill:{TEXT[dark]}}}.page{{fill:{PAGE[dark]}}}.grid{{stroke:{GRID[dark]}}}"]
        found += [f".axis{{stroke:{TEXT[dark]}}}"]
        for place in range(count):
            colour = COLOURS[place % len(COLOURS)][dark]
            found.append(f".l{place}{{stroke:{colour};fill:none;stroke-width:2}}.m{place}{{fill:{colour}}}")
        return "".join(found)

    return rules(False) + "@media(prefers-color-scheme:dark){" + rules(True) + "}"


def _grid(x, y):
    parts = []
    for tick in y.ticks:
        place = y.place(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {place}H{RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{place + 4}" text-anchor="end">{_written(tick)}</text>')
    for tick in x.ticks:
        place = x.place(tick)
        parts.append(f'<path class="axis" d="M{place} {BOTTOM}v5"/>')
        parts.append(f'<text x="{place}" y="{BOTTOM + 20}" text-anchor="middle">{_written(tick)}</text>')
    parts.append(f'<path class="axis" fill="none" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>')
    middle = (LEFT + RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{BOTTOM + 44}" text-anchor="middle">{escape(x.label)}</text>')
    middle = (TOP + BOTTOM) / 2
    turned = f'transform="rotate(-90 18 {middle})"'
    parts.append(f'<text x="18" y="{middle}" text-anchor="middle" {turned}>{escape(y.label)}</text>')
    return parts


def _series(place, series, x, y):
    spots = [(x.place(left), y.place(up)) for left, up in series.points]
    path = "M" + "L".join(f"{left} {up}" for left, up in spots)
    mark = MARKS[place % len(MARKS)]
    marks = "".join(f"M{left} {up}{mark}" for left, up in spots)
    height = TOP + 12 + 24 * place
    legend = RIGHT + 20
    return [
        f'<path class="l{place}" d="{path}"/>',
        f'<path class="m{place}" d="{marks}"/>',
        f'<path class="l{place}" d="M{legend} {height}h24"/>',
        f'<path class="m{place}" d="M{legend + 12} {height}{mark}"/>',
        f'<text x="{legend + 32}" y="{height + 4}">{escape(series.name)}</text>',
    ]


def _ticks(most):
    """From zero to the first round number that is not below `most`, four to eight steps."""
    if most <= 0:
        return [0, 1]
    power = 10.0 ** math.floor(math.log10(most / 4))
    step = next(power * step for step in (*STEPS, 10) if most / (power * step) <= 8)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def _log_ticks(least, most):
    """Powers of ten around all values; where they are few, what lies between them too."""
    first, last = math.floor(math.log10(least) + 1e-9), math.ceil(math.log10(most) - 1e-9)
    last = max(last, first + 1)
    if last - first > 3:
        return [10.0**power for power in range(first, last + 1)]
    ticks = [step * 10.0**power for power in range(first, last) for step in STEPS] + [10.0**last]
    below = [tick for tick in ticks if tick <= least]
    above = [tick for tick in ticks if tick >= most]
    return [tick for tick in ticks if below[-1] <= tick <= above[0]] if below[-1] < above[0] else ticks


def _written(value):
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"
