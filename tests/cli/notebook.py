"""Executes the notebook with nbclient and looks at what its cells left. Arguments: notebook, where to write the executed copy."""
import ast
import sys

import nbclient
import nbformat

STANDARD = set(sys.stdlib_module_names)
PACKAGES = {"pandas", "matplotlib"}  # requirements.txt


def check_source(notebook):
    """Committed without outputs, and with imports that requirements.txt covers."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        assert not cell.outputs and cell.execution_count is None, f"cell {cell.id} is committed with its output"
        for node in ast.walk(ast.parse(cell.source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else (
                [node.module] if isinstance(node, ast.ImportFrom) else [])
            for name in names:
                package = name.split(".")[0]
                assert package in STANDARD | PACKAGES, f"cell {cell.id} imports {package}"


def outputs(notebook, cell_id):
    return next(cell for cell in notebook.cells if cell.id == cell_id).outputs


def text_of(notebook, cell_id):
    parts = []
    for output in outputs(notebook, cell_id):
        data = output.get("data", {})
        parts += [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
    return "".join(parts)


def check_result(notebook):
    for cell_id in ["data-plot", "train-plot", "qat", "scatter", "bars"]:
        pictures = [o for o in outputs(notebook, cell_id) if "image/png" in o.get("data", {})]
        assert len(pictures) == 1, f"cell {cell_id} shows {len(pictures)} pictures"
    table = text_of(notebook, "table")
    for word in ["FP32", "PTQ", "QAT", "Median", "INT8", "Size(MB)", "MAE", "Latency(ms)"]:
        assert word in table, f"the table lacks {word}"
    observers = text_of(notebook, "observers")
    for word in ["minmax", "moving_average", "percentile", "hist_mse", "entropy", "MAE vs FP32"]:
        assert word in observers, f"the comparison of observers lacks {word}"
    assert "report.html" in text_of(notebook, "keep")


def main():
    notebook = nbformat.read(sys.argv[1], as_version=4)
    check_source(notebook)
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    nbformat.write(notebook, sys.argv[2])
    check_result(notebook)
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    print(f"{cells} cells ran; table, pictures and the comparison of observers are there")


main()
