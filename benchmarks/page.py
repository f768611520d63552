"""docs/performance.md: the sections as they were measured last, and the text around them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

from benchmarks import calls, cold, costs, cpu, growth, local_rate, locks, requests, values
from benchmarks.chart import Bar, bars
from benchmarks.children import ROOT
from benchmarks.sampling import Sample
from benchmarks.toolchain import FOLDER

DOCS = ROOT / "docs"
PAGE = DOCS / "performance.md"
SECTIONS = ("cpu", "calls", "costs", "requests", "values", "cold", "growth", "locks", "local")
_SAVED = FOLDER / "sections"

_HEAD = """# What it costs, and how that was measured

This page is written by `make bench` (the text around the figures lives in `benchmarks/page.py`). Read ratios, not times: in
each section all contenders ran in one session, in rounds that alternate between them, and a ratio is the median over the
rounds. "±" is half the distance between the quartiles. The peers do what their documentation shows, with stubs that only
count where effects would be.
"""

_LIMITS = """## Where the limits are

**CPU per record.** What is left of a hundred records' 5 µs each is two fifths routing, handlers and the effects they make, a quarter
validation, event ids and lanes, and the rest waves, the journal's question, the report and giving the objects back. In larger
batches memory comes on top: a parsed record is fourteen kilobytes of Python objects, and those that are looked at have left the
processor's cache by then. Fewer looks would move it, or a parser of JSON that makes fewer objects; both the event and the parser
are Lambda's. From 1000 records on, parsing takes two thirds of all CPU. Reading orders and composing messages takes some 15 µs a
record more: next to the AWS calls, 240 µs an order, it hardly shows.

**A part of a core.** With 0.29 of a core the wall is CPU: 16 calls of about a millisecond, most of it botocore's signing, events, connections and
reading of answers. Fewer calls are not to be had: PublishBatch takes ten messages, a transaction a hundred actions. The worker
stays on one of the two cores that Lambda shows (`stay_on_one_core`): its threads, of which Python runs one at a time, otherwise
hand on between the cores, which takes a fourth more CPU.

**Cold start.** Two thirds of it is importing botocore, urllib3, Powertools and what they import, for the peer as well; nothing is
imported that these do not import themselves. What brought most: the collector off while the function starts, botocore's data
trimmed to the operations that are called, botocore's handlers left out that no call of ours comes to,
and values inside that are named tuples: Python writes and compiles the methods of a data class anew at each start. A Lambda
SnapStart snapshot would leave it all out.
"""


def save(section: str, text: str) -> None:
    """Keep a section, and put the page together from all that are kept."""
    _SAVED.mkdir(parents=True, exist_ok=True)
    (_SAVED / f"{section}.md").write_text(text, encoding="utf-8")
    kept = [_SAVED / f"{name}.md" for name in SECTIONS]
    parts = [_HEAD, *[path.read_text(encoding="utf-8") for path in kept if path.exists()], _LIMITS]
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def cpu_section(figures: cpu.Figures, conditions: str) -> str:
    """Say what a record costs."""
    sizes = list(figures)
    names = list(figures[sizes[0]])
    drawn = [size for size in sizes if size in {100, 1000, 10_000}] or sizes
    groups = [(f"CPU µs a record, without parsing, batches of {size}", _cpu_bars(figures[size])) for size in drawn]
    (DOCS / "performance-cpu.svg").write_text(bars(groups), encoding="utf-8")
    return "\n".join(
        [
            "## CPU per record\n",
            "The whole worker: validate, route, handlers, lanes, waves, report, response; sinks and journal stubbed. 1.2 KB",
            "images of 15 attributes and three lines; 40 % INSERT, 45 % MODIFY (half of them without a change of status),",
            "10 % REMOVE, 5 % other entities. In the first row the handlers look at the status and return an effect or two,",
            "which is what the peers' handlers do, whose effects are only counted. In the second row they are the shop's own:",
            "they read and check the whole order and compose its message, which no peer does, until all is ready to call AWS.",
            "The Node handler keeps no order within an item. The bare loop looks at each event name.",
            f"\n{conditions}\n",
            "![CPU per record](performance-cpu.svg)\n",
            "Microseconds a record without parsing, and how many times ours that is:\n",
            _cpu_table(figures, sizes, names, "process"),
            "The same with `json.loads` (or `JSON.parse`) of the event:\n",
            _cpu_table(figures, sizes, names, "both"),
        ]
    )


def _cpu_bars(group: Mapping[str, Mapping[str, Sample]]) -> list[Bar]:
    values = {name: figures["process"].median for name, figures in group.items()}
    return [Bar(name, value, f"{value:.1f}", name == cpu.OURS) for name, value in values.items()]


def _cpu_table(figures: cpu.Figures, sizes: Sequence[int], names: Sequence[str], figure: str) -> str:
    rows = [
        [
            name,
            *[
                f"{figures[size][name][figure].median:.1f} ±{figures[size][name][figure].spread:.0%} "
                f"({figures[size][name][figure].ratio_to(figures[size][cpu.OURS][figure]):.2f}×)"
                for size in sizes
            ],
        ]
        for name in names
    ]
    return table(["batch of", *map(str, sizes)], rows)


def calls_section(figures: calls.Figures, conditions: str) -> str:
    """Say what AWS calls cost."""
    rows = []
    for case, group in figures.items():
        for name, found in group.items():
            each = {figure: sample.median for figure, sample in found.items()}
            rows.append(
                [
                    case.title if name == calls.OURS else "",
                    name,
                    f"{each['wall'] * case.orders:.0f} {_spread(found['wall'])}",
                    f"{found['wall'].ratio_to(group[calls.OURS]['wall']):.1f}×",
                    f"{each['cpu']:.2f}",
                    f"{each['calls']:.2f}",
                    f"{each['write_units']:.1f}",
                ]
            )
    drawn = [(case.title, _call_bars(case, group)) for case, group in figures.items() if case in calls.QUICK]
    (DOCS / "performance-calls.svg").write_text(bars(drawn), encoding="utf-8")
    return "\n".join(
        [
            "## AWS calls\n",
            "New orders of three lines through the deployed function, against a stub of DynamoDB and SNS in its own process",
            "that answers after some milliseconds. 0.29 of a core is what 512 MB gives in Lambda; it is imposed by stopping",
            "the process when it has used its share of 20 ms. The peers do the same transaction and publish for each order.",
            "Plain HTTP: TLS would add a handshake for each connection to all of them, and more connections to the threads.",
            f"\n{conditions}\n",
            "![Milliseconds for a batch](performance-calls.svg)\n",
            table(["case", "", "wall ms", "to ours", "CPU ms/order", "calls/order", "write units/order"], rows),
        ]
    )


def _spread(sample: Sample) -> str:
    return f"±{sample.spread:.0%}" if len(sample.values) > 2 else "(once)"


def _call_bars(case: calls.Case, group: Mapping[str, Mapping[str, Sample]]) -> list[Bar]:
    values = {name: figures["wall"].median * case.orders for name, figures in group.items()}
    return [Bar(name, value, f"{value:.0f} ms", name == calls.OURS) for name, value in values.items()]


def costs_section(figures: calls.Figures, conditions: str) -> str:
    """Say what a million orders cost."""
    rows = []
    for goods in ("distinct", "hot"):
        for case, group in figures.items():
            if (case.goods, case.orders, case.delay_ms, case.core) == (goods, 100, 5, calls.MB_512):
                for name, found in group.items():
                    due = costs.bill(case, found)
                    parts = [f"{due.dollars[part]:.2f}" for part in ("Lambda", "DynamoDB", "SNS")]
                    units = [f"{value / 1e6:.2f}" for value in (due.aws_calls, due.write_units, due.lambda_ms)]
                    rows.append([f"{name}, {calls.GOODS[goods]}", *units, *parts, f"{due.total:.2f}"])
    head = [
        "million orders",
        "AWS calls (M)",
        "write units (M)",
        "Lambda ms (M)",
        "Lambda $",
        "DynamoDB $",
        "SNS $",
        "sum $",
    ]
    return "\n".join(
        [
            "## A million orders\n",
            "From the figures above (batches of 100, 5 ms a call, 512 MB), with list prices of",
            f"{costs.PRICES_OF}: Lambda ${costs.LAMBDA_GB_SECOND} a GB-second and $0.20 a million requests,",
            "DynamoDB $0.625 a million write units and $0.125 a million read units, SNS $0.50 a million publishes of 64 KB.",
            "Deliveries by SNS, storage and logs are the same for all and left out.",
            f"\n{conditions}\n",
            table(head, rows),
            "DynamoDB is most of the bill. A transaction takes two write units for each kilobyte of each item, so what helps",
            "is a stock item that many orders of a batch share: it is written once for all of them.\n",
        ]
    )


def requests_section(figures: requests.Figures, conditions: str) -> str:
    """Say what an HTTP request costs."""
    titles = list(figures)
    rows = [
        [
            name,
            *[
                f"{figures[title][name]['cpu'].median:.0f} ±{figures[title][name]['cpu'].spread:.0%} "
                f"({figures[title][name]['cpu'].ratio_to(figures[title][requests.RESOLVER]['cpu']):.2f}×)"
                for title in titles
            ],
        ]
        for name in figures[titles[0]]
    ]
    return "\n".join(
        [
            "## HTTP requests\n",
            "CPU µs from the event of an HTTP API to the answer, with a stub of DynamoDB that answers at once over plain HTTP.",
            "All make the same call (GetItem, PutItem, Query of 20) and write a log line of the request. Ours is the shop's function",
            "as it is packaged, with its checks and errors; the peers do what their documentation shows. Ratios are to Powertools' resolver.",
            f"\n{conditions}\n",
            table(["", *titles], rows),
        ]
    )


def values_section(figures: values.Figures, conditions: str) -> str:
    """Say what an item costs between plain values and type tags."""
    rows = [
        [
            name,
            *[
                f"{group[name]['cpu'].median:.1f} ±{group[name]['cpu'].spread:.0%} "
                f"({group[values.BOTO3]['cpu'].ratio_to(group[name]['cpu']):.1f}×)"
                for group in figures.values()
            ],
        ]
        for name in values.CONTENDERS
    ]
    return "\n".join(
        [
            "## Items as values\n",
            f"CPU µs for an order of {values.size():,} bytes, from type tags to plain values and back. Both check the types that they",
            "write; ours checks those that it reads as well. Ratios are how many items in the time that boto3 takes for one.",
            f"\n{conditions}\n",
            table(["", *figures], rows),
        ]
    )


def cold_section(figures: cold.Figures, size_mb: float, conditions: str, *, byte_code: bool) -> str:
    """Say what a cold start costs."""
    rows = [
        [
            name,
            *[f"{found[figure].median:.0f}" for figure in ("init_cpu", "init_wall", "first_cpu", "first_wall")],
            ratio,
        ]
        for name, found in figures.items()
        for ratio in [
            f"{found['first_cpu'].ratio_to(figures[cold.OURS]['first_cpu']):.2f}× ±{found['first_cpu'].spread:.0%}"
        ]
    ]
    held = "holds byte code for its Python" if byte_code else "holds no byte code: there was no python3.13 to make it"
    return "\n".join(
        [
            "## Cold start\n",
            f"A fresh process of the built package ({size_mb:.0f} MB unpacked; it {held}), started with -B so that nothing",
            "can be compiled for the next start. Milliseconds above Python's own start, to the end of init and to the answer",
            "to a first event whose calls are signed. Plain HTTP, so the certificates' bundle is not read by anybody.",
            "Each start begins at another depth of calls: at some, Python's memory for frames happens to cost 20 ms more.",
            f"\n{conditions}\n",
            table(["", "init CPU", "init wall", "first answer CPU", "first answer wall", "CPU to ours"], rows),
        ]
    )


def growth_section(found: growth.Figures, conditions: str) -> str:
    """Say how cost grows."""
    rows = [
        [title, ", ".join(f"{size}: {cost:.0f}" for size, cost in grown.points.items()), f"{grown.exponent:.2f}"]
        for title, grown in (
            ("records of a batch", found.records),
            ("changes of one item", found.changes),
            (f"lines of an order, {growth.ORDERS} orders", found.lines),
        )
    ]
    return "\n".join(
        [
            "## Growth\n",
            "CPU µs of an event by size, without parsing, and the exponent of the line of least squares through the",
            "logarithms: one is linear. For changes and lines, and for the memory, the handlers are the shop's own.",
            f"\n{conditions}\n",
            table(["", "µs by size", "exponent"], rows),
            f"Memory: {found.memory_mb:.0f} MB above the imports for an event of 6 MB ({found.memory_records} records), the",
            "event itself included.\n",
        ]
    )


def locks_section(figures: locks.Figures, conditions: str) -> str:
    """Say how fast items under a lock change."""
    own = figures[locks.OURS]["rate"]
    rows = [
        [
            name,
            f"{found['rate'].median:.0f} ±{found['rate'].spread:.0%}",
            f"{own.ratio_to(found['rate']):.1f}×",
            f"{sum(found['lost'].values):.0f}",
        ]
        for name, found in figures.items()
    ]
    return "\n".join(
        [
            "## Items under a lock\n",
            f"A count under a lock that {locks.WRITERS} writers change at once, on a DynamoDB Local ([locks.md](locks.md)). The published",
            "design reads lock and items, which takes two eventually consistent reads a try, and writes in a transaction; each",
            "change begins anew. Ours reads both in one call, and whoever holds the lock goes on with one call a change.",
            f"\n{conditions}\n",
            table(["", "increments a second", "ours to it", "lost"], rows),
        ]
    )


def local_section(found: local_rate.Figures, conditions: str) -> str:
    """Say how fast the embedded AWS is."""
    median, most = found.latency_ms
    return "\n".join(
        [
            "## `make local`\n",
            f"One client, orders of three lines, Python {platform.python_version()}, a batching window of zero. At {found.steady_rate:.0f} writes a second a",
            f"write reaches the handler after {median:.0f} ms (median; nine of ten within {most:.0f} ms). Written as fast as",
            f"one client can, {found.flat_out_rate:.0f} orders a second go all the way to confirmed stock and a published",
            "message. What limits it is the embedded DynamoDB: it parses the expressions of each action anew.",
            f"\n{conditions}\n",
        ]
    )
