"""How shells complete tlkit: Click's classes, where its scripts are not enough.

A shell calls ``tlkit`` with what was typed in variables, and Click answers. The scripts below are those of Click,
with what they lack: bash older than 4.4, a cursor in the middle of a line, values with commas, file names behind
``--option=``.
"""

from __future__ import annotations

import os

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

from tlkit.cli.app import COMPLETION_VARIABLE

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' line response
    # up to the cursor: an empty word in the middle of the line would be lost among the others
    response=$(env COMP_WORDS="${COMP_WORDS[*]:0:COMP_CWORD+1}" COMP_CWORD="$COMP_CWORD" \\
        %(complete_var)s=bash_complete "${1/#\\~\\//$HOME/}" 2>/dev/null)
    COMPREPLY=()
    while read -r line; do
        case "$line" in
            dir,*) compopt -o dirnames 2>/dev/null ;;
            file,*) compopt -o default 2>/dev/null ;;
            plain,*) COMPREPLY+=("${line#plain,}") ;;
        esac
    done <<< "$response"
}

complete -o nosort -F %(complete_func)s %(prog_name)s 2>/dev/null || \\
    complete -o default -F %(complete_func)s %(prog_name)s
"""
_FISH = """\
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \\
        COMP_CWORD=(commandline -t) %(prog_name)s 2>/dev/null)
    for line in $response
        set -l parts (string split --max 1 "," -- $line)
        switch $parts[1]
            case dir file
                set -l names __fish_complete_path
                test $parts[1] = dir; and set names __fish_complete_directories
                # of --option=name the name alone is one of the disk
                set -l option (string match --regex -- '^--[^=]*=' $parts[2])
                for name in ($names (string replace --regex -- '^--[^=]*=' '' $parts[2]))
                    echo "$option$name"
                end
            case plain
                echo $parts[2]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class _Shell(ShellComplete):
    """What all shells have in common."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return what may follow; whatever is wrong with the line, the terminal gets no traceback in the middle of it.

        In ``--option=value`` a shell that takes that for one word gets it back as one.
        """
        option, equals, _ = incomplete.partition("=")
        try:
            found = super().get_completions(args, incomplete)
        except Exception:
            return []
        if not (equals and option.startswith("--")):
            return found
        return [CompletionItem(f"{option}={item.value}", item.type, item.help) for item in found]


class _Bash(_Shell, BashComplete):
    source_template = _BASH

    def source(self) -> str:
        """Return the script, whichever version of bash runs here, and if none does."""
        return ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the one at it."""
        words = split_arg_string(os.environ["COMP_WORDS"])
        number = int(os.environ["COMP_CWORD"])
        words = [*words[:number], *(words[number : number + 1] or [""])]
        return _joined(words[1:-1], words[-1])


class _Zsh(_Shell, ZshComplete):
    # of --option=name the name alone is one of the disk
    source_template = ZshComplete.source_template.replace("_path_files -", "compset -P 1 '--*='; _path_files -")


class _Fish(_Shell, FishComplete):
    source_template = _FISH

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line of the answer: kind, value and description."""
        description = f"\t{' '.join(item.help.split())}" if item.help else ""
        return f"{item.type},{item.value}{description}"


def _joined(words: list[str], incomplete: str) -> tuple[list[str], str]:
    """Undo what bash does at ``=`` and ``:``, which are words of their own in its list: ``--device = gpu : 1``."""
    joined: list[str] = []
    for word in words:
        if joined and (word.strip("=:") == "" or joined[-1][-1:] in ("=", ":")):
            joined[-1] += word
        else:
            joined.append(word)
    if joined and incomplete == "=" and joined[-1].startswith("--"):
        return joined, ""
    if joined and joined[-1].startswith("--") and joined[-1].endswith("="):
        return [*joined[:-1], joined[-1][:-1]], incomplete
    return joined, incomplete


_CLASSES: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}
SHELLS = tuple(_CLASSES)


def register() -> None:
    """Have Click answer shells with these classes."""
    for name, made in _CLASSES.items():
        add_completion_class(made, name)


def completion_script(shell: str) -> str:
    """Return the script of a shell."""
    from tlkit.cli import main

    return _CLASSES[shell](main, {}, "tlkit", COMPLETION_VARIABLE).source()
