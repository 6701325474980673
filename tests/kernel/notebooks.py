"""Executes notebooks with nbclient and compares the text of their outputs with what is stored."""

import sys

import nbformat
from nbclient import NotebookClient


def texts(cell):
    """The plain text of each output; of work with times in it, what it was and how much was done."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        text = output.get("text") or data.get("text/plain", "")
        yield text.split(" in ")[0] if "<progress" in data.get("text/html", "") else text


for name in sys.argv[1:]:
    stored = nbformat.read(name, as_version=4)
    fresh = nbformat.read(name, as_version=4)
    NotebookClient(fresh, timeout=120).execute()
    nbformat.validate(fresh)
    for old, new in zip(stored.cells, fresh.cells):
        if list(texts(old)) != list(texts(new)):
            sys.exit(f"{name}: the outputs of this cell differ:\n{new.source}\n{list(texts(new))}")
    print(f"{name}: {len(fresh.cells)} cells, as stored")
