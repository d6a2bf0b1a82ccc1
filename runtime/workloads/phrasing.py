"""Who puts the questions of "help me choose" into words, where a bundle names somebody: an installed entry point."""

from __future__ import annotations

from importlib.metadata import entry_points

from ...models.bundle import Bundle, BundleError
from ...models.search.choose import Phrase

PHRASING = "aisle.phrasing"       # the group: (facet, options, language) -> text


def phrasing(bundle: Bundle) -> Phrase | None:
    """What puts questions into words where the bundle names it (params.phrasing): an entry point of the group
    "aisle.phrasing", such as a language model on the box. BundleError where it is not installed."""
    name = bundle.params.get("phrasing")
    if name is None:
        return None
    found = [one for one in entry_points(group=PHRASING) if one.name == name]
    if not found:
        have = ", ".join(sorted(one.name for one in entry_points(group=PHRASING))) or "none"
        raise BundleError(f"bundle {bundle.name!r}: params.phrasing names {name!r}; expected an installed entry point of the "
                          f"group {PHRASING} (there are: {have})")
    made: Phrase = found[0].load()
    return made
