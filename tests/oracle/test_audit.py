"""An audit with Keras 3 and tf_keras: no option of any layer is converted to other numbers.

    TFJS_CODEC_AUDIT=docs/options pytest tests/oracle/test_audit.py

tries every option (an hour) and writes a table for each Keras to the directory: what came of each
class's options as layers and as a graph. ``KERAS_BACKEND=numpy`` takes a third of the time. Without
the variable, a fixed sample is tried. ``audit.py`` says what is tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from audit import Audit, Outcome, trials
from keras_server import KerasServer

pytestmark = pytest.mark.oracle

STRIDE = 197
HEAD = "class\tof\tlayers\tgraph\toptions"


def verdict(told: str, outcome: Outcome) -> str:
    """Return ``same``, ``no effect``, ``refused``, ``not run`` or what is wrong."""
    if told == "same" and not outcome.effect:
        return "no effect"
    return "refused" if told.startswith("refused") else told


def table(outcomes: Iterable[Outcome]) -> list[str]:
    """Return a row for all options of a class of which the same came, with all of their values."""
    options: dict[tuple[str, str, str], list[Outcome]] = {}
    for each in outcomes:
        options.setdefault(each.trial[:3], []).append(each)
    rows: dict[tuple[str, ...], list[str]] = {}
    for (name, kind, option), made in options.items():
        came = (
            " or ".join(sorted({verdict(told, each) for told, each in pairs}))
            for pairs in (
                [(each.layers, each) for each in made], [(each.graph, each) for each in made]
            )
        )  # fmt: skip
        rows.setdefault((name, kind, *came), []).append(option)
    return ["\t".join([*row, " ".join(sorted(names))]) for row, names in sorted(rows.items())]


@pytest.mark.parametrize(
    ("module", "generation"),
    [("keras", 3), pytest.param("tf_keras", 2, marks=pytest.mark.tensorflow)],
)
def test_options_change_what_they_change_in_keras(module, generation, tmp_path):
    whole = os.environ.get("TFJS_CODEC_AUDIT")
    with closing(KerasServer(module=module)) as keras:
        tried = trials(keras, generation)
        audit = Audit(keras, tmp_path, "model.keras" if generation == 3 else "model.h5")
        made = [audit(trial) for trial in (tried if whole else tried[::STRIDE])]
    outcomes = [outcome for outcome in made if outcome is not None]
    rows = table(outcomes)
    if whole:
        Path(whole).mkdir(parents=True, exist_ok=True)
        (Path(whole) / f"{module}.tsv").write_text("\n".join([HEAD, *rows]) + "\n")
    assert len(outcomes) > len(made) // 3
    assert not [each for each in rows if "wrong: " in each or "not run" in each]
