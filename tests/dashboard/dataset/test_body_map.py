"""The body map: every site of the dataset has its number, and every part lies within the picture."""

from __future__ import annotations

import pandas as pd

from dashboard.dataset.body_map import FRONT, HEIGHT, REAR, body_map, has_sites
from data.datasets.ham10000 import load_counts
from data.tasks.skin import SKIN


def by_site() -> pd.Series:
    return load_counts().groupby("localization")["images"].sum()


def test_every_site_of_the_dataset_has_its_count_once() -> None:
    numbers = body_map(SKIN, by_site(), "images").data[-1]
    shown = {site: count for site, count in numbers.customdata}
    assert shown == {site: f"{count:,}" for site, count in by_site().items()}
    assert len(numbers.x) == len(shown)


def test_parts_lie_apart_and_inside_the_picture() -> None:
    for view in (FRONT, REAR):
        for outlines in view.values():
            for x, y in (point for outline in outlines for point in outline):
                assert 0 <= x <= 100 and 0 <= y <= HEIGHT
    # What has a site on both sides is drawn in both.
    assert set(FRONT) & set(REAR) == {"scalp", "neck", "upper extremity", "hand", "lower extremity", "foot"}


def test_more_images_are_darker_and_a_chosen_site_has_a_thick_line() -> None:
    counts = pd.Series({"back": 100, "face": 1, "trunk": 7})
    parts = body_map(SKIN, counts, "images", chosen=("face",)).data[:-1]
    of = {part.name: float(part.fillcolor.rstrip(")").split(",")[-1]) for part in parts}
    assert set(of) == set(FRONT) | set(REAR)
    assert of["back"] > of["face"] > of["chest"]
    assert [part.name for part in parts if part.line.width > 2] == ["face"]


def test_a_site_is_drawn_wherever_it_is_seen_with_gaps_between_its_parts() -> None:
    hands = next(part for part in body_map(SKIN, by_site(), "images").data if part.name == "hand")
    places = [[i for i, x in enumerate(hands.x) if x is None], [i for i, y in enumerate(hands.y) if y is None]]
    assert places[0] == places[1] and len(places[0]) == len(FRONT["hand"]) + len(REAR["hand"]) - 1 == 3


def test_a_dataset_of_other_sites_has_no_body_map() -> None:
    assert has_sites(by_site()) and not has_sites(pd.Series({"leaf": 3, "unknown": 1}))
