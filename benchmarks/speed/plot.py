"""Draws a chart of lines as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

Points = Sequence[tuple[float, float]]
COLOURS = ("#0b5fb0", "#c2410c", "#15803d", "#7e22ce", "#475569", "#b91c1c", "#0e7490")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 70, 150, 50, 60


@dataclass(frozen=True)
class Chart:
    """A chart with a line for each name. With `log_y` the steps of the vertical axis are powers of ten.

    With `log_x` equal distances of the horizontal axis are equal ratios.
    """

    title: str
    x_label: str
    lines: Mapping[str, Points]
    log_y: bool = False
    log_x: bool = False

    def svg(self) -> str:
        """Return the text of the SVG file."""
        label = escape(self.title, quote=True)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            _text(LEFT, 26, self.title, size=16),
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, self.x_label, anchor="middle"),
        ]
        parts += self._grid()
        for number, (name, points) in enumerate(self.lines.items()):
            parts += self._line(number, name, points)
        return "\n".join([*parts, "</svg>", ""])

    def _all(self, axis: int) -> list[float]:
        return [point[axis] for points in self.lines.values() for point in points]

    def _x(self, value: float) -> float:
        low, high = min(self._all(0)), max(self._all(0))
        share = log10(value / low) / log10(high / low) if self.log_x and low < high else value / high
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        low, high = self._range()
        share = (log10(value / low) / log10(high / low)) if self.log_y else value / high
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def _range(self) -> tuple[float, float]:
        if not self.log_y:
            return 0.0, 1.1 * max(self._all(1))
        return 10.0 ** int(log10(min(self._all(1))) - 0.999), 10.0 ** int(log10(max(self._all(1))) + 0.999)

    def _grid(self) -> list[str]:
        parts = []
        for value in self._y_steps():
            y = self._y(value)
            parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
            parts.append(_text(LEFT - 8, y + 4, f"{value:g}", anchor="end"))
        below = HEIGHT - BOTTOM + 20
        steps = sorted(set(self._all(0)))
        return parts + [_text(self._x(value), below, _short(value), anchor="middle") for value in steps]

    def _y_steps(self) -> list[float]:
        low, high = self._range()
        if self.log_y:
            return [low * 10**power for power in range(round(log10(high / low)) + 1)]
        step = next(each for each in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1e9) if high / each <= 8)  # noqa: PLR2004
        return [number * step for number in range(int(high / step) + 1)]

    def _line(self, number: int, name: str, points: Points) -> list[str]:
        colour = COLOURS[number % len(COLOURS)]
        places = [(self._x(x), self._y(y)) for x, y in points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
        row = TOP + 20 * number
        key = f'<path d="M{WIDTH - RIGHT + 16} {row}h20" stroke="{colour}" stroke-width="3"/>'
        label = _text(WIDTH - RIGHT + 42, row + 4, name)
        return [f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots, key, label]


def _short(number: float) -> str:
    return f"{number / 1000:g}k" if number >= 1000 else f"{number:g}"  # noqa: PLR2004 - k is a thousand


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 13) -> str:
    font = f'font-family="sans-serif" font-size="{size}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {font}>{escape(text)}</text>'
