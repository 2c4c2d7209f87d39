"""The man page names the commands and options that there are."""

from __future__ import annotations

import argparse
import re

from pages import ROOT

from tfjs_codec.cli.main import build_parser

PAGE = ROOT / "docs" / "tfjs-codec.1"


def test_the_man_page_is_current():
    text = re.sub(r"\\f[BIR]|\\", "", PAGE.read_text(encoding="utf-8"))
    named = set(re.findall(r"--[a-z][a-z\d-]+", text))
    commands = set(re.findall(r"^\.SS tfjs-codec (\w+)", text, re.MULTILINE))
    (subparsers,) = (
        action
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    assert commands == set(subparsers.choices), "run: bash docs/make-man.sh"
    options = {
        option
        for parser in subparsers.choices.values()
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    }
    assert options | {"--version"} == named, "run: bash docs/make-man.sh"
