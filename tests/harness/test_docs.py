"""What README and docs say to type is there to be typed: commands, their options, and files that are linked."""

import argparse
import re
from importlib import import_module
from pathlib import Path

import pytest

from harness.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TYPED = re.compile(r"(?:^\s*(?:\$ )?|`)headscript ([a-z]+)([^`\n#]*)", re.MULTILINE)


def options_of(command):
    parser = argparse.ArgumentParser()
    import_module(f"harness.commands.{command}").arguments(parser)
    return {*parser._option_string_actions, "--json", "--debug"}


def typed(page):
    """(command, the options behind it) for every command line on a page."""
    for command, rest in TYPED.findall(page.read_text(encoding="utf-8")):
        yield command, re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_and_options_exist(page):
    for command, options in typed(page):
        assert command in COMMANDS, f"{page.name}: headscript {command}"
        assert set(options) <= options_of(command), f"{page.name}: headscript {command} {' '.join(options)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_pages_have_commands_to_check():
    found = {command for page in PAGES for command, _ in typed(page)}
    assert {"run", "show", "report", "serve", "replace", "find", "compare", "check"} <= found
