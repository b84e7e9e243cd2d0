"""The line that shows how a try came along."""

from __future__ import annotations

from itertools import pairwise

from http_enrich_spark.driver._curve import MAX_POINTS, Curve, Point


def curve(seconds: float, step: float = 0.5) -> Curve:
    made = Curve()
    for n in range(int(seconds / step) + 1):
        made.add(Point(n * step, n, 2 * n, 0))
    return made


def test_a_short_try_has_a_point_each_second() -> None:
    points = curve(3).points()

    assert [each.seconds for each in points] == [0, 1, 2, 3]
    assert points[-1] == (3, 6, 12, 0)


def test_the_newest_point_is_there_however_close_it_is() -> None:
    assert [each.seconds for each in curve(1.5).points()] == [0, 1, 1.5]
    assert [each.seconds for each in curve(0).points()] == [0]
    assert Curve().points() == []


def test_a_long_try_has_points_that_are_further_apart_and_never_too_many() -> None:
    for hours in (0.1, 1, 24):
        points = curve(3600 * hours, step=1).points()
        apart = {after.seconds - before.seconds for before, after in pairwise(points[:-1])}

        assert MAX_POINTS // 2 <= len(points) <= MAX_POINTS + 1
        assert len(apart) == 1
        assert (points[0].seconds, points[-1].seconds) == (0, 3600 * hours)
