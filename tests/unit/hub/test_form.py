"""The form: what is offered is there, told in words, labelled, and nothing in it is taken for HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree as ET

from msgspec.structs import replace

from qmio_jupyter.hub.form import form
from qmio_jupyter.hub.offer import Offer, Profile
from qmio_jupyter.hub.options import NAMES, Options, from_form
from tests.unit.hub.offers import ODD, OFFER


def test_why_the_last_server_ended_is_told() -> None:
    assert "Your last server ended: the &lt;node&gt; failed." in form(OFFER, ended="the <node> failed")
    assert "Your last server" not in form(OFFER)


def test_users_are_told_that_they_are_one_unix_user() -> None:
    assert "not isolated from one another" in form(OFFER, is_one_user=True)
    assert "isolated" not in form(OFFER)


class Page(HTMLParser):
    """The tags of a page, and what a browser would submit."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.submitted: dict[str, list[str]] = {}
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag == "select":
            self._select = found["name"]
            self.submitted[self._select] = []
        elif tag == "option" and (not self.submitted[self._select] or "selected" in found):
            self.submitted[self._select] = [found["value"]]
        elif tag == "input" and "disabled" not in found and (found["type"] != "radio" or "checked" in found):
            self.submitted.setdefault(found["name"], []).append(found.get("value", ""))

    def of(self, *tags: str) -> list[dict[str, str]]:
        return [found for tag, found in self.tags if tag in tags]


def test_what_it_submits_untouched_is_a_wish() -> None:
    assert from_form(Page(form(OFFER)).submitted) == Options(profile="small")
    plain = replace(OFFER, profiles=())
    assert from_form(Page(form(plain)).submitted) == Options(device="fake-qmio", partition="ilk")


def test_the_last_choice_is_chosen_again() -> None:
    last = Options(device="fake-qmio", partition="gpu", cores=3, account="physics", qos="long", kind="batch")
    assert from_form(Page(form(replace(OFFER, profiles=()), last)).submitted) == last


def test_a_last_choice_that_is_gone_is_not_shown() -> None:
    last = Options(device="gone", partition="gone", account="gone", reservation="gone")
    text = form(replace(OFFER, profiles=()), last)
    assert "gone" not in text
    assert from_form(Page(text).submitted) == Options(device="fake-qmio", partition="ilk")


def test_every_field_is_an_option_and_has_a_label() -> None:
    page = Page(form(OFFER))
    fields = page.of("input", "select")
    assert {field["name"] for field in fields} == set(NAMES)
    labels = {label["for"] for label in page.of("label")}
    ids = [field["id"] for field in fields]
    assert len(ids) == len(set(ids))
    assert set(ids) == labels
    notes = {found["id"] for _, found in page.tags if "id" in found}
    assert all(field.get("aria-describedby", field["id"]) in notes for field in fields)


def test_what_is_free_and_when_it_starts_is_told() -> None:
    text = form(OFFER)
    assert "1 of 2 nodes free, 5 cores free; up to 4 cores; starts at once; at most 4 h" in text
    assert "3 jobs wait; starts in about 10 min" in text
    assert "idle; 2 tasks there; 3 of 4 sessions free" in text
    assert "closed now" in text


def test_nothing_is_taken_for_html() -> None:
    odd = replace(
        OFFER,
        devices=(replace(OFFER.devices[0], title=ODD, note=ODD, state=ODD),),
        partitions=(replace(OFFER.partitions[0], name=ODD),),
        associations=(replace(OFFER.associations[0], account=ODD, qos=(ODD,)),) if OFFER.associations else (),
        reservations=(replace(OFFER.reservations[0], name=ODD, partition=ODD),),
        profiles=(Profile(name=ODD, title=ODD, note=ODD),),
    )
    text = form(odd)
    assert ODD not in text
    tags = [tag for tag, _ in Page(text).tags]
    assert set(tags) <= {
        "div",
        "fieldset",
        "legend",
        "input",
        "label",
        "small",
        "select",
        "option",
        "details",
        "summary",
    }
    assert {found.get("value") for found in Page(text).of("input", "option")} >= {ODD}


def test_it_is_well_formed() -> None:
    text = form(OFFER)
    for bare in ("checked", "disabled", "selected", "open"):
        text = text.replace(f" {bare}>", f' {bare}="">').replace(f" {bare} ", f' {bare}="" ')
    closed = text.replace("<input ", "<input_ ")
    while "<input_ " in closed:
        head, _, tail = closed.partition("<input_ ")
        inner, _, rest = tail.partition(">")
        closed = f"{head}<input {inner}/>{rest}"
    ET.fromstring(f"<form>{closed}</form>")


def test_an_empty_offer_says_so() -> None:
    text = form(Offer())
    assert "offers no device now" in text
    assert "No partition of the cluster is open to you" in text
