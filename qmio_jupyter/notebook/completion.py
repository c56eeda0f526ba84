"""Completion in ``%qpu`` and ``%%qpu`` lines: options, values, subcommands, devices, tasks, variables.

What must be asked of the gateway is asked at most every `FRESH_S`, and waited for `DEADLINE_S` at most: a Tab
never blocks the kernel, and never starts a gateway. Before a cell has made the kernel's link, a gateway that runs
already is asked over a link of the moment.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from qmio_jupyter.errors import QmioError, UsageError
from qmio_jupyter.notebook import link
from qmio_jupyter.notebook.grammar import CELL, arguments_of, options_of
from qmio_jupyter.notebook.options import SUBCOMMANDS, Argument, Option
from qmio_jupyter.notebook.words import split_words

if TYPE_CHECKING:
    from qmio_jupyter.client.sync import Client

DEADLINE_S = 0.2
FRESH_S = 2.0
#: How long a link of the moment may take; what comes later than `DEADLINE_S` is there for the next Tab.
PEEK_S = 2.0
_MAGIC = re.compile(r"^\s*(?:\w+\s*=\s*)?(%%?)qpu(?=\s|$)(.*)$", re.DOTALL)
_SETTINGS = ("device=", "shots=", "timeout=", "quiet=", "live=")


class Words:
    """Names that only the gateway knows, remembered for a moment.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._names: dict[str, list[str]] = {}
        #: When each kind was last asked for, and whether over the kernel's own link.
        self._asked: dict[str, tuple[float, bool]] = {}

    def get(self, kind: str) -> list[str]:
        """Return the names of ``devices`` or ``tasks``: old ones if it is slow, none without a gateway."""
        client = link.current()
        asked_at, was_linked = self._asked.get(kind, (float("-inf"), False))
        if self._clock() < asked_at + FRESH_S and was_linked is (client is not None):
            return self._names.get(kind, [])
        self._asked[kind] = (self._clock(), client is not None)
        if client is not None:
            self._ask(kind, client, DEADLINE_S)
        else:
            # Connecting and closing may take longer than a Tab.
            peek = threading.Thread(target=self._peek, args=(kind,), name="qmio-peek", daemon=True)
            peek.start()
            peek.join(DEADLINE_S)
        return self._names.get(kind, [])

    def _ask(self, kind: str, client: Client, timeout_s: float) -> None:
        try:
            if kind == "devices":
                self._names[kind] = [v.description.name for v in client.devices(timeout_s=timeout_s)]
            else:
                self._names[kind] = [view.task_id for view in client.tasks(50, timeout_s=timeout_s)]
        except QmioError:
            pass  # a Tab that finds nothing is no error

    def _peek(self, kind: str) -> None:
        try:
            client = link.peek(PEEK_S)
        except QmioError:
            return
        if client is not None:
            with client:
                self._ask(kind, client, PEEK_S)


def candidates(text: str, lookup: Callable[[str], Iterable[str]]) -> tuple[str, list[str]] | None:
    """Return the word being written and what it may become; None if `text` is no ``%qpu`` line.

    Parameters
    ----------
    text : str
        The line up to the cursor.
    lookup : callable
        Gives the names of ``devices``, ``tasks`` or ``variables``.
    """
    found = _MAGIC.match(text)
    if found is None:
        return None
    is_cell, rest = found[1] == "%%", found[2]
    if not rest:
        return None
    try:
        words = split_words(rest)
    except UsageError:
        return "", []  # inside a quote or an expression
    word = "" if rest[-1].isspace() else (words.pop() if words else "")
    if is_cell:
        return word, _fitting(word, _for_options(CELL, words, word, lookup))
    if not words:
        return word, _fitting(word, [subcommand.word for subcommand in SUBCOMMANDS])
    return word, _fitting(word, _for_options(words[0], words[1:], word, lookup))


def _for_options(
    command: str, before: list[str], word: str, lookup: Callable[[str], Iterable[str]]
) -> list[str]:
    options = options_of(command)
    by_flag = {flag: option for option in options for flag in option.flags}
    flag, equals, _ = word.partition("=")
    if equals and flag in by_flag:
        return [f"{flag}={value}" for value in _values(by_flag[flag], lookup)]
    if before and (option := by_flag.get(before[-1])) is not None and option.metavar:
        return _values(option, lookup)
    offered: list[str] = []
    if not word.startswith("-"):
        taken = len(_positional(before, by_flag))
        arguments = arguments_of(command)
        for argument in arguments[taken : taken + 1] or [a for a in arguments if a.count in ("*", "2+")]:
            offered += _values(argument, lookup)
    used = {
        option.field for one in before if (option := by_flag.get(one)) is not None and not option.repeated
    }
    offered += [max(o.flags, key=len) for o in options if o.field not in used]
    if word.startswith("-") and not word.startswith("--"):
        offered += [flag for o in options if o.field not in used for flag in o.flags if len(flag) == 2]
    return offered


def _positional(words: list[str], by_flag: Mapping[str, Option]) -> list[str]:
    found, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            option = by_flag.get(word)
            skip = option is not None and bool(option.metavar)
        else:
            found.append(word)
    return found


def _values(what: Option | Argument, lookup: Callable[[str], Iterable[str]]) -> list[str]:
    if what.dynamic == "settings":
        return list(_SETTINGS)
    return [*what.choices, *(lookup(what.dynamic) if what.dynamic else ())]


def _fitting(word: str, offered: list[str]) -> list[str]:
    return [one for one in dict.fromkeys(offered) if one.startswith(word)]


class _Nothing(list[Any]):
    """No completions, and yet not empty: IPython lets only those suppress others' who have some."""

    def __len__(self) -> int:
        return 1


def matcher_for(shell: Any) -> Any:
    """Return a matcher for IPython's completer that serves `shell`."""
    from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

    words = Words()

    def lookup(kind: str) -> list[str]:
        if kind == "variables":
            return _variables(shell)
        found = words.get(kind)
        # Without a link the configured device is known all the same.
        return found or ([link.defaults().device] if kind == "devices" else [])

    @context_matcher(identifier="qpu", priority=500)  # type: ignore[untyped-decorator]
    def qpu_matcher(context: CompletionContext) -> dict[str, Any]:
        lines = context.full_text.split("\n")
        first = next((i for i, text in enumerate(lines) if text.strip()), 0)
        text = lines[context.cursor_line][: context.cursor_position]
        if text.lstrip().startswith("%%") and context.cursor_line != first:
            return {"completions": []}
        found = candidates(text, lookup)
        if found is None:
            return {"completions": []}
        word, offered = found
        return {
            "completions": [SimpleCompletion(one, type="magic") for one in offered] or _Nothing(),
            "matched_fragment": word,
            "suppress": True,
            "ordered": True,
        }

    return qpu_matcher


def _variables(shell: Any) -> list[str]:
    """Return the user's variables: those that hold what runs first, the others after them."""
    hidden = getattr(shell, "user_ns_hidden", {})
    mine = {
        name: value
        for name, value in shell.user_ns.items()
        if not name.startswith("_") and hidden.get(name, hidden) is not value
    }
    return sorted(mine, key=lambda name: not _runs(mine[name]))


def _runs(value: Any) -> bool:
    from qmio_jupyter.notebook.circuits import is_circuit

    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(is_circuit, value))
    return is_circuit(value) or (isinstance(value, str) and "OPENQASM" in value)
