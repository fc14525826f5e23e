"""What two runs of the same training have in common in their histories."""

CLOCK = ("seconds", "waited")


def without_clock(table):
    """Without the columns of the clock, found by their names: two undisturbed runs can agree in them by chance."""
    rows = [line.split(",") for line in table.splitlines()]
    kept = [i for i, name in enumerate(rows[0] if rows else []) if name not in CLOCK]
    return "\n".join(",".join(row[i] for i in kept if i < len(row)) for row in rows)
