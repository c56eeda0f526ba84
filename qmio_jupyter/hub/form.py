"""The page on which a server is chosen: plain HTML of an `Offer`, every text escaped, every field labelled. Pure.

It works without scripts, with a keyboard and with a screen reader: radio buttons in field sets, what is free told in
words beside each choice, numbers with their units in the label and their bounds in a hint that the field names.
Colours and measures are the hub's own (Bootstrap); nothing is said by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from qmio_jupyter.display.eta import span
from qmio_jupyter.hub.offer import DeviceChoice, Offer, Partition, Profile, Reservation
from qmio_jupyter.hub.options import Options


def form(offer: Offer, last: Options | None = None, ended: str = "", *, is_one_user: bool = False) -> str:
    """Return the form's content, without the form element and its button, which the hub has.

    Parameters
    ----------
    offer : Offer
        What this user may choose from.
    last : Options, optional
        What she chose the last time: selected again where it is still offered.
    ended : str
        Why her last server ended although she had not stopped it; empty: it did not.
    is_one_user : bool
        Whether all servers run as one unix user, which she is told.
    """
    chosen = last or Options()
    parts = ['<div class="qmio-form">']
    if is_one_user:
        parts.append(
            '<p class="alert alert-warning">All servers of this hub run as one unix user: its users are not '
            "isolated from one another.</p>"
        )
    if ended:
        parts.append(
            f'<p role="status" class="alert alert-warning">Your last server ended: {escape(ended)}. '
            "Its notebooks are as they were last saved.</p>"
        )
    if offer.profiles:
        parts.append(_profiles(offer.profiles, chosen.profile))
        parts.append('<details class="mb-3"')
        parts[-1] += " open>" if not chosen.profile and last is not None else ">"
        parts.append('<summary class="mb-2">Choose differently</summary>')
    parts.append(_devices(offer, chosen))
    parts.append(_partitions(offer, chosen))
    parts.append(_sizes(offer, chosen))
    parts.append(_accounts(offer, chosen))
    if offer.profiles:
        parts.append("</details>")
    parts.append("</div>")
    return "\n".join(part for part in parts if part)


def _profiles(profiles: Iterable[Profile], chosen: str) -> str:
    rows = []
    for number, profile in enumerate(profiles):
        is_on = profile.name == chosen or (not chosen and number == 0)
        rows.append(_radio("profile", profile.name, profile.title, profile.note, is_on=is_on))
    rows.append(_radio("profile", "", "Something else", "Only what is chosen below.", is_on=False))
    return _fieldset("Profile", rows)


def _devices(offer: Offer, chosen: Options) -> str:
    names = [one.name for one in offer.devices]
    rows = (
        [] if not offer.profiles else [_default("device", "As the profile says", chosen.device not in names)]
    )
    first = None if offer.profiles or chosen.device in names else next(iter(names), None)
    for one in offer.devices:
        is_on = one.name in (chosen.device, first)
        rows.append(_radio("device", one.name, one.title or one.name, _of_device(one), is_on=is_on))
    if not offer.devices:
        rows.append("<p>The gateway offers no device now.</p>")
    kinds = [("", "As the profile says, or interactive"), ("interactive", "Interactive"), ("batch", "Batch")]
    rows.append(_select("kind", "Kind of session", kinds, chosen.kind, "How the gateway treats its tasks."))
    return _fieldset("Quantum device", rows)


def _of_device(one: DeviceChoice) -> str:
    parts = [one.state, "no task waits" if one.tasks == 0 else f"{one.tasks} tasks there"]
    if one.sessions is not None:
        free = one.sessions if one.free_sessions is None else one.free_sessions
        parts.append(f"{free} of {one.sessions} sessions free")
    if one.note:
        parts.append(one.note)
    return "; ".join(parts)


def _partitions(offer: Offer, chosen: Options) -> str:
    names = [one.name for one in offer.partitions]
    rows = (
        []
        if not offer.profiles
        else [_default("partition", "As the profile says", chosen.partition not in names)]
    )
    default = next((one.name for one in offer.partitions if one.is_default), (names or [""])[0])
    first = None if offer.profiles or chosen.partition in names else default
    rows += [
        _radio(
            "partition",
            one.name,
            one.name,
            _of_partition(one),
            is_on=one.name in (chosen.partition, first),
            is_off=not one.is_up,
        )
        for one in offer.partitions
    ]
    if not offer.partitions:
        rows.append("<p>No partition of the cluster is open to you.</p>")
    return _fieldset("Where on the cluster", rows)


def _of_partition(one: Partition) -> str:
    if not one.is_up:
        return "closed now"
    nodes = sum(shape.nodes for shape in one.shapes)
    free = sum(shape.free_nodes for shape in one.shapes)
    cores = sum(shape.free_cores for shape in one.shapes)
    gpus = max((shape.gpus for shape in one.shapes), default=0)
    most = max((shape.cores for shape in one.shapes), default=0)
    parts = [f"{free} of {nodes} nodes free, {cores} cores free", f"up to {most} cores"]
    if gpus:
        parts[-1] += f" and {gpus} GPUs"
    if one.waiting:
        parts.append("1 job waits" if one.waiting == 1 else f"{one.waiting} jobs wait")
    if one.start_s is not None:
        parts.append(
            "starts at once" if one.start_s < 5 else f"starts in about {span(one.start_s, one.start_s)}"
        )
    if one.longest_min is not None:
        parts.append(f"at most {span(one.longest_min * 60.0, one.longest_min * 60.0)}")
    return "; ".join(parts)


def _sizes(offer: Offer, chosen: Options) -> str:
    shapes = [shape for one in offer.partitions for shape in one.shapes]
    limits = offer.limits
    cores = max((one.cores for one in shapes), default=limits.cores)
    memory = max((one.memory_mib for one in shapes), default=limits.memory_mib)
    gpus = max((one.gpus for one in shapes), default=0)
    usual = "the profile's" if offer.profiles else ""
    rows = [
        _number("cores", "Cores", chosen.cores, cores, usual or str(limits.cores)),
        _number("memory_mib", "Memory (MiB)", chosen.memory_mib, memory, usual or str(limits.memory_mib)),
        _number(
            "walltime_min",
            "Longest time (minutes)",
            chosen.walltime_min,
            limits.most_walltime_min,
            usual or str(limits.walltime_min),
        ),
    ]
    if gpus:
        rows.insert(2, _number("gpus", "GPUs", chosen.gpus, gpus, usual or "none"))
    return _fieldset("Size and time", ['<div class="row">', *rows, "</div>"])


def _accounts(offer: Offer, chosen: Options) -> str:
    rows = []
    if offer.associations:
        default = next((one.account for one in offer.associations if one.is_default), "")
        accounts = list(dict.fromkeys(one.account for one in offer.associations))
        first = ("", f"Your default ({default})" if default else "Your default")
        rows.append(_select("account", "Account", [first, *((one, one) for one in accounts)], chosen.account))
        qos = list(dict.fromkeys(name for one in offer.associations for name in one.qos))
        if qos:
            rows.append(
                _select("qos", "QOS", [("", "Your default"), *((one, one) for one in qos)], chosen.qos)
            )
    if offer.reservations:
        choices = [("", "None"), *((one.name, _of_reservation(one)) for one in offer.reservations)]
        rows.append(_select("reservation", "Reservation", choices, chosen.reservation))
    return _fieldset("Account", rows) if rows else ""


def _of_reservation(one: Reservation) -> str:
    parts = [one.name]
    if one.partition:
        parts.append(f"in {one.partition}")
    if one.left_min is not None:
        parts.append(f"ends in {span(one.left_min * 60.0, one.left_min * 60.0)}")
    return ", ".join(parts)


def _fieldset(legend: str, rows: Iterable[str]) -> str:
    inner = "\n".join(rows)
    return f'<fieldset class="mb-3"><legend class="h5">{escape(legend)}</legend>\n{inner}\n</fieldset>'


def _default(name: str, title: str, is_on: bool) -> str:
    return _radio(name, "", title, "", is_on=is_on)


def _radio(name: str, value: str, title: str, note: str, *, is_on: bool, is_off: bool = False) -> str:
    ident = f"qmio-{name}-{value or 'none'}"
    about = f' aria-describedby="{escape(ident)}-note"' if note else ""
    checked = (" checked" if is_on and not is_off else "") + (" disabled" if is_off else "")
    small = (
        f' <small class="text-body-secondary d-block" id="{escape(ident)}-note">{escape(note)}</small>'
        if note
        else ""
    )
    return (
        f'<div class="form-check"><input class="form-check-input" type="radio" name="{name}" id="{escape(ident)}" '
        f'value="{escape(value)}"{about}{checked}>'
        f'<label class="form-check-label" for="{escape(ident)}">{escape(title)}</label>{small}</div>'
    )


def _select(name: str, title: str, choices: Iterable[tuple[str, str]], chosen: str, note: str = "") -> str:
    rows = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in choices
    )
    about = f' aria-describedby="qmio-{name}-note"' if note else ""
    small = f'<small class="text-body-secondary" id="qmio-{name}-note">{escape(note)}</small>' if note else ""
    return (
        f'<div class="mb-2"><label class="form-label" for="qmio-{name}">{escape(title)}</label>'
        f'<select class="form-select" name="{name}" id="qmio-{name}"{about}>{rows}</select>{small}</div>'
    )


def _number(name: str, title: str, chosen: int, most: int, usual: str) -> str:
    value = f' value="{chosen}"' if chosen else ""
    return (
        f'<div class="col-sm-6 mb-2"><label class="form-label" for="qmio-{name}">{escape(title)}</label>'
        f'<input class="form-control" type="number" inputmode="numeric" min="0" max="{most}" name="{name}" '
        f'id="qmio-{name}" placeholder="{escape(usual)}" aria-describedby="qmio-{name}-note"{value}>'
        f'<small class="text-body-secondary" id="qmio-{name}-note">At most {most}; '
        f"{escape(usual)} if left empty.</small></div>"
    )
