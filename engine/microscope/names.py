"""Names: what keys, rows and messages are called, so that a person knows them again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.microscope.scene import Scene
    from engine.microscope.script import Step

PRODUCTS = (
    "iPhone 15", "iPhone 15 Pro", "iPhone 15 case", "Galaxy S24", "Pixel 8", "Kindle", "AirPods",
    "USB-C charger", "Coffee grinder", "Desk lamp", "Running shoes", "Backpack", "Water bottle",
    "Headphones", "Board game", "Cookbook", "Garden hose", "Yoga mat", "Toaster", "Umbrella",
)  # fmt: skip


def one_of(dataset: str) -> str:
    """Return what one thing of a dataset is called.

    >>> one_of("products"), one_of("searches"), one_of("stories"), one_of("data")
    ('product', 'search', 'story', 'data')
    """
    if dataset.endswith("ies"):
        return dataset[:-3] + "y"
    for ending in ("ches", "shes", "sses", "xes"):
        if dataset.endswith(ending):
            return dataset[:-2]
    return dataset.removesuffix("s")


def title_of(dataset: str, key: int) -> str:
    """Return what a thing is called: real names for the most popular, numbers for the others."""
    if dataset in {"products", "searches"} and key < len(PRODUCTS):
        return PRODUCTS[key]
    return f"{one_of(dataset)} {key}"


def slug(text: str) -> str:
    """Return a name that is fit for a key.

    >>> slug("iPhone 15 Pro")
    'iphone-15-pro'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def key_name(dataset: str, key: int) -> str:
    """Return the key under which a thing is cached.

    >>> key_name("searches", 0), key_name("products", 4711)
    ('search:iphone-15', 'product:4711')
    """
    if dataset == "searches" and key < len(PRODUCTS):
        return f"search:{slug(PRODUCTS[key])}"
    return f"{one_of(dataset)}:{key}"


def find(dataset: str, keys: int, wanted: int | str) -> int:
    """Return the key of a thing by its number or name; raises KeyError if there is none."""
    if isinstance(wanted, int):
        if 0 <= wanted < keys:
            return wanted
        raise KeyError(wanted)
    for key, name in enumerate(PRODUCTS[:keys]):
        if dataset in {"products", "searches"} and slug(name) == slug(wanted):
            return key
    number = re.search(r"(\d+)$", wanted)
    if number and int(number[1]) < keys and slug(wanted).startswith(one_of(dataset)):
        return int(number[1])
    raise KeyError(wanted)


class Names:
    """What a step's values are called."""

    def way(self, step: Step, value: int, scene: Scene) -> str:
        """Return which of several ways a request goes."""
        register = scene.script.registers.get(step.register, "way")
        client = scene.script.scenario.client
        if register == "device":
            return f"from a {('computer', 'phone')[min(value, 1)]}"
        if register == "region" and value < len(client.regions):
            return f"from {client.regions[value].name}"
        return f"{register} {value + 1}"
