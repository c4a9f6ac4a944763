"""`vnetbench completion`: what a shell needs to complete names and options.

click speaks with the shells. Two things it leaves to others: bash takes "mtu=1400" for three
words, and a shell puts a space after "mtu=" unless told otherwise.
"""

from __future__ import annotations

import os
import re
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from bench.cli.entry import COMPLETE, PROGRAM
from bench.cli.options import examples

_SHELLS = ("bash", "zsh", "fish")
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' response line type value
    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
%(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while read -r line; do
        type=${line%%%%,*} value=${line#*,}
        case $type in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain)
            COMPREPLY+=("$value")
            case $value in *=) compopt -o nospace ;; esac ;;
        esac
    done <<< "$response"
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    """bash, which splits words at "=" as well."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the incomplete one, and that one, put together again."""
        given = os.environ["COMP_WORDS"].split("\n")
        words = [word for text in given for word in split_arg_string(text) or [""]]
        until = int(os.environ["COMP_CWORD"]) + 1
        whole: list[str] = []
        joins = False
        for word in [*words, ""][:until]:
            if whole and (joins or word.startswith("=")):
                whole[-1] += word
            else:
                whole.append(word)
            joins = word.endswith("=")
        return whole[1:-1], whole[-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """What may stand after the last "=" of the incomplete word: bash replaces only that."""
        head, equals, _ = incomplete.rpartition("=")
        found = super().get_completions(args, incomplete)
        for item in found:
            item.value = str(item.value).removeprefix(head + equals)
        return found


class _Zsh(ZshComplete):
    """zsh, which puts a space after "mtu=" unless that is called a prefix."""

    source_template = re.sub(
        r'completions\+=\("\$key"\)',
        'if [[ "$key" == *= ]]; then compadd -U -S "" -- "$key"; else completions+=("$key"); fi',
        ZshComplete.source_template,
    )


for known in (_Bash, _Zsh):
    add_completion_class(known)


@click.command(
    epilog=examples(
        'eval "$(vnetbench completion bash)"          # in ~/.bashrc',
        "vnetbench completion fish > ~/.config/fish/completions/vnetbench.fish",
    )
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print a script with which SHELL completes commands, options and names.

    Scenarios, parameters (-p), probes, profiles, metrics and result sets are completed.
    """
    # Imported here: it is about to import this module.
    from bench.cli import cli  # noqa: PLC0415

    click.echo(script(cli, shell), nl=False)


def script(cli: click.Command, shell: str) -> str:
    """The script of a shell that there is a class for."""
    kind: type[ShellComplete] | None = get_completion_class(shell)
    context: dict[str, Any] = {}
    return kind(cli, context, PROGRAM, COMPLETE).source() if kind else ""
