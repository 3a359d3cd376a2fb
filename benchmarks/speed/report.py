"""Makes the tables from the rows of a run: medians over its repetitions, and ratios to the limit and the best peer."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

Row = dict[str, Any]
PEERS = ("nchan", "node-ws")
NAMES = {
    "limit": "the limit: a C loop of `send()`",
    "ours": "**ours**",
    "ours-two": "ours, two processes on one core",
    "ours-portable": "ours, through ASGI (`--portable`)",
    "ours-daphne": "ours, on daphne",
    "nchan": "nginx with nchan",
    "node-ws": "Node with ws",
    "channels": "plain Channels (in memory, 200 clients)",
}
COMPARED_RATES = (10_000, 25_000, 150_000)
"""The rates whose CPU time a record is in the table."""


def table(rows: Sequence[Row]) -> str:
    """Return the tables of a run, as Markdown."""
    parts = [_fan_outs(rows, "websocket", "WebSocket"), _fan_outs(rows, "sse", "Server-Sent Events")]
    parts += [_connecting(rows), _requests(rows), _growth(rows), _coming_back(rows), _idle(rows), _importing(rows)]
    return "\n\n".join(part for part in parts if part)


def medians(rows: Iterable[Row], *keys: str) -> list[Row]:
    """Return one row for all rows with equal values of `keys`. Its numbers are the medians of theirs."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return [{name: _middle([row[name] for row in group]) for name in group[0]} for group in groups.values()]


def _middle(values: list[Any]) -> Any:
    if isinstance(values[0], bool):
        return all(values)
    return median(values) if isinstance(values[0], int | float) else values[0]


def fan_outs(rows: Sequence[Row], protocol: str) -> dict[str, dict[float, Row]]:
    """Return the fan-outs of a protocol, with medians: the server's name, and its rows by rate."""
    chosen = [row for row in rows if row["measure"] == "fan-out" and row["protocol"] == protocol]
    found: dict[str, dict[float, Row]] = {}
    for row in medians(chosen, "server", "rate"):
        found.setdefault(row["server"], {})[row["rate"]] = row
    return found


def _fan_outs(rows: Sequence[Row], protocol: str, title: str) -> str:
    servers = fan_outs(rows, protocol)
    if not servers:
        return ""
    measured = sorted({rate for found in servers.values() for rate in found})
    rates = [rate for rate in measured if rate in COMPARED_RATES] or measured[:1]
    head = [title, *(f"µs CPU a record at {rate:,.0f}/s" for rate in rates), "to the limit", "to the best peer"]
    head += ["p99 at 50,000/s or its highest rate", "highest rate with p99 ≤ 200 ms"]
    body = [[NAMES[name], *_figures(servers, name, rates)] for name in servers]
    return _markdown(head, body)


def _figures(servers: dict[str, dict[float, Row]], name: str, rates: Sequence[float]) -> list[str]:
    found = servers[name]
    costs = [f"{found[rate]['cpu_us']:.1f}" if rate in found else "–" for rate in rates]
    kept = [rate for rate, row in found.items() if row["keeps_up"]]
    at = max((rate for rate in kept if rate <= 50_000), default=min(found))  # noqa: PLR2004 - as the head says
    failed = [row for row in found.values() if not row["keeps_up"]]
    at_least = "" if any(row["is_the_limit"] for row in failed) else "at least "
    highest = f"{at_least}{max(kept):,.0f}" if kept else "none"
    return [*costs, *_ratios(servers, name, rates), f"{found[at]['p99_ms']:.1f} ms", highest]


def _ratios(servers: dict[str, dict[float, Row]], name: str, rates: Sequence[float]) -> list[str]:
    """Return the CPU time a record in comparison with the limit and with the best peer, at each rate."""

    def times(others: Sequence[str]) -> str:
        texts = []
        for rate in rates:
            best = min((servers[o][rate]["cpu_us"] for o in others if rate in servers.get(o, {})), default=0)
            if best and rate in servers[name]:
                texts.append(f"{servers[name][rate]['cpu_us'] / best:.2f} ×")
        return ", ".join(texts) or "–"

    return [times(["limit"]) if name != "limit" else "–", times(PEERS) if name not in {"limit", *PEERS} else "–"]


def _connecting(rows: Sequence[Row]) -> str:
    chosen = medians([row for row in rows if row["measure"] == "connecting"], "server", "protocol", "connections")
    head = ["connections", "protocol", "KB each", "of the kernel, both ends", "handshakes/s a core", "idle, of a core"]
    body = [
        [
            NAMES[row["server"]],
            row["protocol"],
            f"{row['kb']:.1f}",
            f"{row['kernel_kb']:.1f}",
            f"{row['handshakes_a_core']:,.0f}",
            f"{row['idle_percent']:.2f} %",
        ]
        for row in chosen
    ]
    return _markdown(head, body) if body else ""


def _requests(rows: Sequence[Row]) -> str:
    polls = medians([row for row in rows if row["measure"] == "polls"], "what")
    ways = medians([row for row in rows if row["measure"] == "publishing"], "how")
    fan_out = [row for row in rows if row["measure"] == "fan-out" and row["redis_cpu_us"]]
    body = [[f"a request: {row['what']}", f"{row['cpu_us']:,.0f}", f"{row['a_core']:,.0f}"] for row in polls]
    for row in ways:
        body.append([f"a publish, {row['how']}: the publisher", f"{row['cpu_us']:,.0f}", f"{row['a_second']:,.0f}"])
        body.append([f"a publish, {row['how']}: Redis", f"{row['redis_cpu_us']:,.0f}", "–"])
    if fan_out:
        figure = median(row["redis_cpu_us"] for row in fan_out)
        body.append(["a publish during a fan-out: Redis", f"{figure:,.0f}", "–"])
    return _markdown(["of the product", "µs CPU", "a second"], body) if body else ""


def _growth(rows: Sequence[Row]) -> str:
    chosen = [row for row in rows if str(row["measure"]).startswith(("growth", "10,000 clients"))]
    head = ["shape", "server", "connections", "tenants", "topics of each", "µs CPU a record", "of a core", "p99"]
    body = [
        [
            row["measure"],
            NAMES[row["server"]],
            *(f"{row[name]:,}" for name in ("connections", "tenants", "topics")),
            f"{row['cpu_us']:.1f}",
            f"{row['busy_percent']:.1f} %",
            f"{row['p99_ms']:.1f} ms",
        ]
        for row in chosen
    ]
    return _markdown(head, body) if body else ""


def _coming_back(rows: Sequence[Row]) -> str:
    chosen = [row for row in rows if row["measure"] == "coming back at once"]
    body = [
        [NAMES[row["server"]], f"{row['connections']:,}", f"{row['seconds']:.2f} s", f"{row['refused']:,}"]
        for row in chosen
    ]
    head = ["coming back at once", "clients", "until all have their records", "refused"]
    return _markdown(head, body) if body else ""


def _importing(rows: Sequence[Row]) -> str:
    chosen = medians([row for row in rows if row["measure"] == "importing"], "how", "rows")
    found = {(row["how"], row["rows"]): row["seconds"] for row in chosen}
    body = []
    for rows_of_list in sorted({row["rows"] for row in chosen}):
        bulk, copy = found["bulk", rows_of_list], found["COPY", rows_of_list]
        slow = found.get(("row by row", rows_of_list))
        times = [f"{slow:.2f} s, {slow / bulk:.0f} ×" if slow else "–", f"{copy:.3f} s, {copy / bulk:.2f} ×"]
        body.append([f"{rows_of_list:,}", f"{bulk:.3f} s", f"{rows_of_list / bulk:,.0f}", *times])
    return (
        _markdown(["rows of an Excel list", "import", "rows a second", "row by row", "bare COPY"], body) if body else ""
    )


def _idle(rows: Sequence[Row]) -> str:
    """Return the table of idle connections. A row for 200,000 is extrapolated from the largest measured number."""
    chosen = sorted(
        (row for row in rows if row["measure"] == "idle"), key=lambda row: (row["protocol"], row["connections"])
    )
    body = []
    for row in chosen:
        body.append(_idle_row(row, f"{row['connections']:,}", 1.0))
        if row is [each for each in chosen if each["protocol"] == row["protocol"]][-1]:
            body.append(_idle_row(row, "200,000, extrapolated", 200_000 / row["connections"]))
    head = ["idle connections", "protocol", "KB each", "with the kernel's part", "GB for all", "cores for 100,000"]
    return _markdown([*head, "cores for all"], body) if body else ""


def _idle_row(row: Row, name: str, times: float) -> list[str]:
    """Return a line for `times` as many connections as were measured."""
    whole = row["kb"] + row["kernel_kb"] / 2  # the other half is the client's end
    cores = row["idle_percent"] / 100
    return [
        name,
        row["protocol"],
        f"{row['kb']:.1f}",
        f"{whole:.1f}",
        f"{whole * row['connections'] * times / 1e6:.2f}",
        f"{cores * 100_000 / row['connections']:.3f}",
        f"{cores * times:.3f}",
    ]


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
