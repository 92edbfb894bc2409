"""The page of commands names every command, argument and option that there is, and no other."""

import re

import pytest
from command_page import page
from commands import every_command

PAGE = page()


EVERY = {" ".join(typed): command for typed, command in every_command().items()}


def section(name: str) -> str:
    (text,) = re.findall(rf"^##+ {re.escape(name)}\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return text


def flags_in(text: str) -> set[str]:
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `-")]
    return {flag for row in rows for flag in re.findall(r"`(-[^`]+)`", row)}


@pytest.mark.parametrize("name", EVERY)
def test_a_section_names_all_options_and_no_other(name: str) -> None:
    text, command = section(name), EVERY[name]
    referred = {flag for other in re.findall(r"as for \[(.*?)\]", text) for flag in flags_in(section(other))}
    options = [each for each in command.params if each.param_type_name == "option"]
    expected = {flag for each in options for flag in (*each.opts, *each.secondary_opts)}
    expected -= {"--help", "--install-completion", "--show-completion"}
    assert flags_in(text) <= expected <= flags_in(text) | referred
    for each in command.params:
        if each.param_type_name == "argument":
            assert (each.metavar or each.name.upper()) in text


def test_defaults_choices_and_required_options_are_stated() -> None:
    text = section("mpt-train")
    assert re.search(r"\| `--reduction` integer \| .* Default: 8\. \|", text)
    assert re.search(r"\| `--adapter-mean` none, cross \| .* Default: none\. \|", text)
    assert re.search(r"\| `CACHE...` \| .* Also as --cache\. \|", text)
    assert re.search(r"\| `--checkpoints`, `--no-checkpoints` \| .* Default: on\. \|", text)
    assert re.search(r"\| `--seeds` integer \| .* Default: 1\. \|", text)
    assert re.search(r"\| `--output`, `-o` path \| .* Required\. \|", section("mpt-cache merge"))
