"""The table of wrong programs fits the code; ``tests/mutants/mutants.py`` runs them."""

from __future__ import annotations

import ast

import pytest
from mutants import MUTANTS, source


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_a_program(mutant):
    ast.parse(source(mutant).replace(mutant.text, mutant.instead))
