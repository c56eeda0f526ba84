"""What a user asks for, typed: the form and the REST interface are read into the same `Options`, nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from qmio_jupyter.errors import UsageError

#: A name as Slurm has them for partitions, accounts, QOS and reservations, and we for devices; may be empty.
_Name = Annotated[str, Meta(pattern=r"\A(?:[A-Za-z0-9][A-Za-z0-9._@+-]{0,63})?\Z")]
#: The number of a form's field, in plain ASCII digits.
_NUMBER = re.compile(r"[0-9]{1,9}")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One wish for a server. Empty and 0 mean: the profile's, or the site's own choice."""

    #: Name of a profile, whose values stand where nothing else is asked for.
    profile: _Name = ""
    #: Device of the QPU session.
    device: _Name = ""
    #: ``interactive`` or ``batch``: how the gateway treats the session's tasks.
    kind: Annotated[str, Meta(pattern=r"\A(?:interactive|batch)?\Z")] = ""
    partition: _Name = ""
    #: Processor cores.
    cores: Annotated[int, Meta(ge=0, le=100_000)] = 0
    #: Memory of the node, in MiB.
    memory_mib: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    gpus: Annotated[int, Meta(ge=0, le=1000)] = 0
    #: Longest time the server may run, in minutes.
    walltime_min: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    account: _Name = ""
    qos: _Name = ""
    reservation: _Name = ""


#: Every option there is.
NAMES = Options.__struct_fields__
_NUMBERS = frozenset({"cores", "memory_mib", "gpus", "walltime_min"})


def from_json(found: Mapping[str, Any]) -> Options:
    """Return the options of a REST request, or those that the hub has kept from an earlier one.

    Raises
    ------
    UsageError
        ``usage.option`` naming the option that is not accepted, and why.
    """
    for name in found:
        if name not in NAMES:
            raise UsageError(
                f"{str(name)[:40]!r} is no option of a server",
                hint=f"There are {', '.join(NAMES)}.",
                code="usage.option",
            )
    try:
        return msgspec.convert(dict(found), type=Options)
    except msgspec.ValidationError as problem:
        where = str(problem).rpartition("$.")[2].rstrip("`")
        name = where if where in NAMES else "an option"
        raise UsageError(
            f"{name}: {_plainly(name)}", hint="Choose one of the values of the form.", code="usage.option"
        ) from problem


def from_form(found: Mapping[str, Sequence[Any]]) -> Options:
    """Return the options of a submitted form: each field at most once, all of them text.

    Raises
    ------
    UsageError
        As `from_json`, and where a field is not a number that has to be one.
    """
    values: dict[str, Any] = {}
    for name, texts in found.items():
        if name == "_xsrf":
            continue
        if len(texts) != 1 or not isinstance(texts[0], str):
            raise UsageError(f"{str(name)[:40]!r} is given {len(texts)} times", code="usage.option")
        text = texts[0].strip()
        if not text:
            continue
        if name not in _NUMBERS:
            values[name] = text
        elif _NUMBER.fullmatch(text):
            values[name] = int(text)
        else:
            raise UsageError(f"{name}: {_plainly(name)}", hint="Type digits only.", code="usage.option")
    return from_json(values)


def filled(options: Options, profile: Options | None) -> Options:
    """Return the options with the profile's values where nothing was asked for."""
    if profile is None:
        return options
    given = {name: value for name in NAMES if (value := getattr(options, name))}
    return msgspec.structs.replace(profile, **given)


def as_json(options: Options) -> dict[str, Any]:
    """Return what the hub is to keep of them: what differs from the defaults."""
    found: dict[str, Any] = msgspec.to_builtins(options)
    return found


def _plainly(name: str) -> str:
    if name in _NUMBERS:
        return "a whole number from 0 is needed"
    if name == "kind":
        return "it is interactive or batch"
    return "at most 64 letters, digits, and . _ @ + - are needed, a letter or digit first"
