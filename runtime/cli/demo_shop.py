"""The demo's shop: a made-up catalogue with a recommender, searched in two languages and chosen from in taps."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import Failed

SHOP = "corner"
PHRASES = ("non-slip shoes for a walk in the rain", "防滑、适合雨天散步的鞋", "wirless headphones, not black, under 600")


def make(models: Path) -> int:
    """Put the shop into the folder of models, and a text encoder where one was made for it; the number of items."""
    from ...models.make.shop import CURRENCY, items
    from ...models.make.shop_taste import NAME, SHIPPED
    from ...models.shop.make import make_shop
    make_shop(items(), models / SHOP / "1", SHOP, fit=SHIPPED / NAME / "1", currency=CURRENCY)
    encoder = models.parent / "encoder" / "text-encoder"        # aisle search encoder WHEEL --models demo_out/encoder
    if encoder.is_dir():
        shutil.copytree(encoder, models / encoder.name)
    return len(items())


def ask(address: str, path: str, told: Any = None) -> Any:
    """GET, or POST of JSON. Failed with the server's own sentence."""
    body = None if told is None else json.dumps(told).encode()
    asked = urllib.request.Request(address + path, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=30) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        raise Failed(f"{path}: {error.read().decode(errors='replace')[:300]}") from None


def show(address: str) -> str:
    """What the shop answers to some phrases, to a visit, and to the beginning of "help me choose"."""
    lines = []
    for phrase in PHRASES:
        found = ask(address, f"/v1/search/{SHOP}?n=2&q={quote(phrase)}")
        lines.append(f"Search '{phrase}'  ({found['timings_ms']['total']:.1f} ms)")
        lines += [f"    {one['title']}  ¥{one['price']:g}: {', '.join(why['text'] for why in one['reasons'])}"
                  for one in found["items"]]
        lines += [f"    ({note})" for note in found.get("notes", ())]
    for_you = ask(address, f"/v1/recommend/{SHOP}", {"events": ["tent-1", "sleeping-bag-1"], "count": 2})
    lines.append("Recommended after a look at a tent and a sleeping bag:")
    lines += [f"    {one['title']}: {one['reason']['sentence']}" for one in for_you["items"]]
    first = ask(address, f"/v1/choose/{SHOP}", {})["question"]
    lines.append(f"Help me choose begins: {first['text']} {', '.join(one['text'] for one in first['options'])}")
    lines.append(f"Shop page: {address}/shop/{SHOP}")
    return "\n".join(lines)
