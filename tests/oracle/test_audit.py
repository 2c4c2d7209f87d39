"""An audit with Keras 3: no option of any layer is converted to other numbers.

    TFJS_CODEC_AUDIT=table.tsv pytest tests/oracle/test_audit.py

tries every option and writes what came of each (class, option, value, layers, graph) to the file;
without the variable, a fixed sample is tried. ``audit.py`` says what is tried.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from audit import Audit, Outcome, trials

pytestmark = pytest.mark.oracle

STRIDE = 197


def row(outcome: Outcome) -> str:
    trial = outcome.trial
    told = [str(part) for part in (outcome.layers, outcome.graph)]
    if not outcome.effect:
        told = [f"no effect, {part}" for part in told]
    return "\t".join([trial.name, trial.kind, trial.key, repr(trial.value)[:60], *told])


def test_options_change_what_they_change_in_keras(keras_oracle, tmp_path):
    table = os.environ.get("TFJS_CODEC_AUDIT")
    tried = trials(keras_oracle)
    audit = Audit(keras_oracle, tmp_path)
    made = [audit(trial) for trial in (tried if table else tried[::STRIDE])]
    outcomes = [outcome for outcome in made if outcome is not None]
    rows = [row(outcome) for outcome in outcomes]
    Path(table or tmp_path / "table.tsv").write_text("\n".join(rows) + "\n")
    assert len(outcomes) > len(made) // 3
    assert not [each for each in rows if "wrong: " in each]
