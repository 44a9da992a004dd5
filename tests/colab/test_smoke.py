"""The package under the versions that Colab ships: `make test-colab` runs these beside the tests of the widgets."""

import importlib.metadata
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

import lmrl_lab as lab
from notebook_address import setup_source

PINNED = [
    line.strip().split("==") for line in Path(__file__).with_name("requirements.txt").read_text().splitlines() if "==" in line
]


@pytest.mark.parametrize("name, version", PINNED, ids=[name for name, _ in PINNED])
def test_this_is_the_second_environment(name, version):
    assert importlib.metadata.version(name) == version


def test_doctor_finds_nothing_to_mend(capsys):
    lab.doctor()
    assert capsys.readouterr().out.startswith("✓")


def test_data_training_and_evaluation_go_together():
    episodes = lab.generate("maze-fo", size=60, seed=0)
    agent = lab.train("bc", "maze-fo", episodes, seed=0, steps=5)
    assert len(agent.history) > 0
    score = lab.evaluate(agent, "maze-fo", episodes=4, seed=1)
    assert score.mean_return <= -1


def test_widgets_open_in_a_kernel(tmp_path):
    """Unlike the unit tests of the widgets, this goes through a kernel's comms, which differ between the versions."""
    sources = [
        setup_source(""),
        'game = lab.play("maze-fo")\ngame',
        'lab.replay(lab.generate("maze-fo", size=2, seed=0)[0])',
        'data = lab.generate("maze-fo", size=20, seed=0)\n'
        'lab.inspect_tokens(lab.train("mc", "maze-fo", data, steps=3, bc_steps=3), data[0])',
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    NotebookClient(notebook, kernel_name="python3", timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    nbformat.validate(notebook)
    first, *others = [[output for output in cell.outputs] for cell in notebook.cells]
    assert first[0].text.startswith("✓")
    for outputs in others:
        (shown,) = outputs
        assert "application/vnd.jupyter.widget-view+json" in shown.data and "text/html" in shown.data
