"""The measurements as Markdown that also reads well in a terminal."""


def title(part, settings):
    form, threads = settings["form"], settings["threads"]
    tail = f"{threads} thread{'s' * (threads > 1)}"
    if part.startswith("busy-"):
        count = int(part.removeprefix("busy-"))
        return (f"INT8 inference beside {count} busy loop{'s' * (count != 1)}, one clip of {form}, threads as each "
                "engine chooses")
    return {"fp32": f"FP32 inference, one clip of {form}, {tail}",
            "train": f"Training step, {settings['batch']} clips of {form}, {tail}",
            "int8": f"INT8 inference, one clip of {form}, {tail}",
            "file": f"From file to EF, one clip of {form}, {tail}",
            "scaling": f"echoquant alone, {form}",
            "experiment": f"The whole experiment, {tail}"}[part]


def table(head, rows):
    """The first column to the left, the others to the right."""
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    lines = []
    for line in [head, ["-" * w for w in widths], *rows]:
        rule = line[0].startswith("---")
        cells = [text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(line, widths))]
        if rule:
            cells = [cell if i == 0 else cell[:-1] + ":" for i, cell in enumerate(cells)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def times(rows):
    ours = next(row for row in rows if not row["peer"])
    alone = not any(row["peer"] for row in rows)
    out = []
    for row in rows:
        line = [f"{row['engine']} {row['what']}"]
        if "failed" in row:
            line += ["-"] * 4
        else:
            line += [f"{row['min_ms']:.2f}", f"{row['median_ms']:.2f}"]
            line += [f"{ours[key] / row[key]:.2f}" for key in ("min_ms", "median_ms")]
        out.append(line[:3] if alone else line)
    head = ["engine", "min ms", "median ms", "ours / it, min", "ours / it, median"]
    return table(head[:3] if alone else head, out)


def whole_runs(rows):
    """Seconds, epochs (of FP32, QAT, FP32+), and the MAE of each model."""
    ours = next(row for row in rows if not row["peer"])
    models = list(ours["mae"])
    out = [[f"{row['engine']} {row['what']}",
            "+".join(str(count) for count in row["epochs"] if count), *(["-"] * (3 + len(models)) if "failed" in row else
              [f"{row['min_ms'] / 1e3:.1f}", f"{row['median_ms'] / 1e3:.1f}", f"{ours['min_ms'] / row['min_ms']:.2f}",
               *[f"{row['mae'][model]:.2f}" for model in models]])] for row in rows]
    return table(["program", "epochs", "min s", "median s", "ours / it, min", *[f"MAE {model}" for model in models]], out)


def part_text(part, result, settings):
    head = whole_runs if part == "experiment" else times
    lines = [f"### {title(part, settings)}", "", *head(result["rows"]), ""]
    if part == "experiment":
        configs = dict.fromkeys(row["config"] for row in result["rows"])
        lines += [f"Configuration: {', PyTorch: '.join(configs)}; clips: {result['data']}.", ""]
    if "against_one_thread" in result:
        a = result["against_one_thread"]
        lines += [f"Its own choice of threads takes echoquant {a['min']:.2f} of one thread's time by the minimum, "
                  f"{a['median']:.2f} by the median.", ""]
    if result["against"]:
        a = result["against"]
        lines += [f"echoquant takes {a['min']:.2f} of the fastest ({a['fastest']}) by the minimum, "
                  f"{a['median']:.2f} by the median.", ""]
    for row in result["rows"]:
        if "failed" in row:
            lines += [f"{row['engine']} {row['what']} was not measured: {row['failed']}", ""]
    for name, ratio in result.get("speedups", {}).items():
        lines.append(f"- {name}: {ratio['min']:.2f} times (minimum), {ratio['median']:.2f} (median)")
    if result.get("speedups"):
        lines.append("")
    if result.get("agreement"):
        lines += table(["EF against echoquant's, percent", "clips", "largest", "rms"],
                       [[f"{a['engine']} {a['what']}", *(["-"] * 3 if "failed" in a else
                         [str(a["clips"]), f"{a['max']:.5f}", f"{a['rms']:.5f}"])] for a in result["agreement"]]) + [""]
    return lines


def markdown(document):
    m = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    load = " to ".join(f"{x:.1f}" for x in m["load"])
    lines = [f"{m['cpu']}, {m['cpus']} CPUs ({' '.join(m['flags'])}); echoquant used {m['isa']}.",
             f"{document['date']}, load average {load} from begin to end, {document['settings']['calls']} calls a turn "
             "(training steps: 1).", "", f"{versions}.", ""]
    if document["models"]:
        lines += [f"Models: {', '.join(document['models'].values())}.", ""]
    for part, result in document["parts"].items():
        lines += part_text(part, result, document["settings"])
    return "\n".join(lines)
