"""Print the script that completes commands, options and channels in bash and zsh.

To have it in every new shell of bash or zsh:

    echo 'eval "$(recommender completion bash)"' >> ~/.bashrc
    echo 'eval "$(recommender completion zsh)"' >> ~/.zshrc
"""

import argparse
from collections.abc import Mapping

_RUNS = {"RUN", "OTHER", "CANDIDATE", "LIVE"}  # metavars that latest may stand for
_NAMED = {*_RUNS, "FROM", "TO", "CHANNEL"}  # and those that the name of a channel may stand for
_CHANNELS = '$(ls "$root/channels" 2>/dev/null)'
_SCRIPT = """\
_recommender() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command=${{COMP_WORDS[1]}}
    local root=output place
    for place in "${{!COMP_WORDS[@]}}"; do
        [ "${{COMP_WORDS[place]}}" != --root ] || root=${{COMP_WORDS[place+1]}}
    done
    local words=
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands}"
    else
        case "$command $before" in
{values}
            *)
                case "$command" in
{options}
                esac ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _recommender recommender
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"), help="the shell that reads the script")


def script(shell: str, parsers: Mapping[str, argparse.ArgumentParser]) -> str:
    """Return the script.

    Args:
        shell: bash or zsh.
        parsers: command -> the parser of its arguments.

    >>> parser = argparse.ArgumentParser()
    >>> _ = parser.add_argument("--from", choices=["stage1", "stage2"])
    >>> [line.strip() for line in script("bash", {"run": parser}).splitlines() if "run" in line]
    ['words="run"', '"run --from") words="stage1 stage2" ;;', 'run) words="--help --from" ;;']
    """
    values, options = [], []
    for name, parser in parsers.items():
        flags = [action for action in parser._actions if action.option_strings]
        arguments = [action for action in parser._actions if not action.option_strings]
        words = [str(value) for action in arguments for value in action.choices or ()]
        words += [action.option_strings[-1] for action in flags]
        words += ["latest"] if any(action.metavar in _RUNS for action in arguments) else []
        words += [_CHANNELS] if any(action.metavar in _NAMED for action in arguments) else []
        options.append(f'                    {name}) words="{" ".join(words)}" ;;')
        values += [
            f'            "{name} {flag}") words="{" ".join(map(str, action.choices))}" ;;'
            for action in flags
            if action.choices
            for flag in action.option_strings
        ]
    text = _SCRIPT.format(commands=" ".join(parsers), values="\n".join(values), options="\n".join(options))
    return f"{_ZSH if shell == 'zsh' else ''}{text}"
