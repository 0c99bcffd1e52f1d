"""Tables, sentences, JSON rows and a picture of what was measured."""

import statistics

from candidates import AVX2, OURS

FRAMEWORKS = ("torch", "jax")
COLORS = {
    OURS: "#c8102e", AVX2: "#e06c75",
    "numpy": "#4d9de0", "torch eager": "#e1a100", "torch compile": "#b06a00", "jax scan": "#2a7f62",
}  # fmt: skip


def medians(found):
    """Return {who: median} of {who: values}."""
    return {who: statistics.median(values) for who, values in found.items()}


def rows(found):
    """Return {who: values} as rows for JSON, one for each candidate and number of CPUs."""
    middle = medians(found)
    return [
        {"name": who[0], "cpus": who[1], "median": middle[who], "all": values}
        for who, values in found.items()
    ]


def report(title, found):
    """Print medians, spreads and the ratios of the medians to the core's."""
    print(f"\n{title}")
    middle = medians(found)
    ours = {cpus: median for (name, cpus), median in middle.items() if name == OURS}
    columns = ("CPUs", "median", "min", "max", *(f"ratio to our {t}" for t in sorted(ours)))
    print(f"{'':<20}" + "".join(f"{column:>15}" for column in columns))
    for (name, cpus), values in found.items():
        median = middle[name, cpus]
        figures = [median, min(values), max(values), *(median / ours[t] for t in sorted(ours))]
        cells = (f"{figure:>15,.{1 if figure >= 10 else 2}f}" for figure in figures)
        print(f"{name:<20}{cpus:>15}" + "".join(cells))


def counted(cpus):
    """Return "1 CPU", "2 CPUs"."""
    return f"{cpus} CPU" + "s" * (cpus != 1)


def best(middle, *names):
    """Return the fastest whose name begins with one of `names`, with its median, or None."""
    found = [(median, who) for who, median in middle.items() if who[0].startswith(names)]
    if not found:
        return None
    median, (name, cpus) = min(found)
    return f"{name}, {counted(cpus)}", median


def summaries(found, flop):
    """Yield (sentence, number) pairs that summarise the tables of one shape.

    found {what: {who: values}}; flop: the operations of one step done naively.
    """
    steps = medians(found["us per step"])
    peaks = {cpus: median for (_, cpus), median in medians(found["peak GFLOP/s"]).items()}
    most = max(peaks)
    framework, numpy, avx2 = best(steps, *FRAMEWORKS), best(steps, "numpy"), best(steps, AVX2)
    if framework:
        who, us = framework
        yield f"best framework ({who}) / ours, {counted(most)}", us / steps[OURS, most]
    if numpy:
        yield f"NumPy at its best ({numpy[0]}) / ours, 1 CPU", numpy[1] / steps[OURS, 1]
    if framework and avx2:
        yield f"best framework ({framework[0]}) / {avx2[0]}", framework[1] / avx2[1]
    if most > 1:
        yield f"speed of {counted(most)} / 1 CPU", steps[OURS, 1] / steps[OURS, most]
    for cpus, peak in sorted(peaks.items()):
        share = flop / (steps[OURS, cpus] * 1e3) / peak
        yield f"naive arithmetic / {peak:.0f} GFLOP/s, the peak of {counted(cpus)}", share
    for (_, cpus), us in medians(found.get("us per step beside a busy process", {})).items():
        who = f"ours, {counted(cpus)}, one of them kept busy by another process"
        yield f"time of {who} / ours, 1 CPU, undisturbed", us / steps[OURS, 1]


def job_summaries(found):
    """Yield (sentence, number) pairs for the commands of {who: seconds}."""
    middle = {name: median for (name, _), median in medians(found).items()}
    train = middle["makemore_cpp train"]
    for module in FRAMEWORKS:
        if f"{module} import" in middle:
            yield f"import {module} / our whole training", middle[f"{module} import"] / train
    beyond = middle["makemore_cpp import"] - middle["numpy import"]
    yield "ms that import makemore_cpp takes beyond import numpy", beyond * 1e3


def draw(steps, file):
    """Draw the lecture's step, {who: values}, as bars."""
    from matplotlib.figure import Figure

    middle = medians(steps)
    labels = [f"{name}, {counted(cpus)}" for name, cpus in middle]
    figure = Figure(figsize=(8, 0.4 * len(middle) + 1.2), layout="constrained")
    ax = figure.subplots()
    colors = ["#c8102e" if name.startswith(OURS) else "#8fa3bf" for name, _ in middle]
    ax.barh(labels, list(middle.values()), color=colors)
    for i, median in enumerate(middle.values()):
        ax.text(median, i, f" {median:,.0f}", va="center")
    ax.invert_yaxis()
    ax.set_xlabel("microseconds per training step")
    ax.set_title("The lecture's model: B=32, T=3, E=10, H=200, V=27")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    figure.savefig(file, dpi=120)


def draw_seconds(rows, counts, file):
    """Draw dev loss against seconds of training, and n-grams as lines, {order: loss}."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    ax = figure.subplots()
    most = max(row["cpus"] for row in rows)
    for name in dict.fromkeys(row["name"] for row in rows):
        for cpus, style in {1: "-", most: "--"}.items():
            own = [row for row in rows if (row["name"], row["cpus"]) == (name, cpus)]
            means = [statistics.fmean(row["dev"]) for row in own]
            ax.plot(
                [row["budget"] for row in own], means, style, marker="o", color=COLORS[name],
                label=f"{name}, {counted(cpus)}",
            )  # fmt: skip
    for order, loss in counts.items():
        ax.axhline(loss, color="#8a8a8a", linewidth=0.8, linestyle=":")
        ax.annotate(
            f"{order}-gram", (1, loss), xycoords=("axes fraction", "data"), ha="right", va="bottom"
        )
    ax.set_xscale("log")
    seconds = sorted({row["budget"] for row in rows})
    ax.set_xticks(seconds, [f"{budget:g}" for budget in seconds])
    ax.minorticks_off()
    ax.set_xlabel("seconds of training")
    ax.set_ylabel("dev loss, nats per character")
    ax.legend(fontsize="small")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    figure.savefig(file, dpi=120)
