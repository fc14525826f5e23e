"""Executes the notebook with nbclient and looks at what its cells left, there and in the file. Arguments: notebook, where to write the executed copy."""
import ast
import os
import sys

import nbclient
import nbformat

STANDARD = set(sys.stdlib_module_names)
MAX_BYTES = 1_500_000
PACKAGES = {"pandas", "matplotlib"}  # requirements.txt


def check_source(notebook):
    """Imports that requirements.txt covers."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else (
                [node.module] if isinstance(node, ast.ImportFrom) else [])
            for name in names:
                package = name.split(".")[0]
                assert package in STANDARD | PACKAGES, f"cell {cell.id} imports {package}"


def check_stored(notebook, size):
    """The outputs of one run from top to bottom, small enough for a repository, without a path of the machine that made
    them."""
    assert size < MAX_BYTES, f"{size} bytes: outputs of at most {MAX_BYTES} are committed"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in code]
    assert counts == list(range(1, len(code) + 1)), f"executed in the order {counts}"
    for cell in code:
        for output in cell.outputs:
            assert output.output_type != "error", f"cell {cell.id} is committed with an error"
            text = output.get("text", "") + str({k: v for k, v in output.get("data", {}).items() if k != "image/png"})
            for path in ["/tmp/", "/home/", "/root/", "/work/"]:
                assert path not in text, f"cell {cell.id} is committed with a path in {path}"


def outputs(notebook, cell_id):
    return next(cell for cell in notebook.cells if cell.id == cell_id).outputs


def text_of(notebook, cell_id):
    parts = []
    for output in outputs(notebook, cell_id):
        data = output.get("data", {})
        parts += [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
    return "".join(parts)


def check_result(notebook):
    for cell_id, wanted in {"data-plot": [1], "train-plot": [1], "qat": [1], "scatter": [1], "bars": [1], "forest": [1],
                            "strips": [2, 3, 4]}.items():
        pictures = [o for o in outputs(notebook, cell_id) if "image/png" in o.get("data", {})]
        assert len(pictures) in wanted, f"cell {cell_id} shows {len(pictures)} pictures"
    verdict = text_of(notebook, "verdict")
    for word in ["With a margin of ", "PTQ - FP32", "QAT - FP32+", "non-inferior", "MLPerf"]:
        assert word in verdict, f"the verdict lacks {word}"
    assert "Settings that differ" in text_of(notebook, "compare")
    table = text_of(notebook, "table")
    for word in ["FP32", "PTQ", "QAT", "Median", "INT8", "Size(MB)", "MAE", "Latency CPU(ms)", "Latency GPU(ms)"]:
        assert word in table, f"the table lacks {word}"
    observers = text_of(notebook, "observers")
    for word in ["minmax", "moving_average", "percentile", "hist_mse", "entropy", "MAE vs FP32"]:
        assert word in observers, f"the comparison of observers lacks {word}"
    assert "report.html" in text_of(notebook, "keep")


def main():
    notebook = nbformat.read(sys.argv[1], as_version=4)
    check_source(notebook)
    check_stored(notebook, os.path.getsize(sys.argv[1]))
    check_result(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    nbformat.write(notebook, sys.argv[2])
    check_result(notebook)
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    print(f"{cells} cells ran; table, pictures and the comparison of observers are there")


main()
