"""Files and folders by way of Hadoop, on the local disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from http_enrich_spark.driver._files import Folder


@pytest.fixture
def folder(spark: SparkSession, tmp_path: Path) -> Folder:
    return Folder(spark, str(tmp_path / "top"))


def test_what_is_written_can_be_read(folder: Folder) -> None:
    file = folder / "a ü.json"
    assert file.read() is None
    file.write("ü")
    file.write("other")
    assert file.read() == "other"
    assert folder.names() == ["a ü.json"]  # and no checksum beside it


def test_publish_shows_a_file_whole(folder: Folder) -> None:
    (folder / "a").publish("text")
    assert (folder / "a").read() == "text"
    assert folder.names() == ["a"]
    with pytest.raises(OSError, match="could not rename"):
        (folder / "a").publish("again")


def test_one_of_many_gets_the_claim(folder: Folder) -> None:
    claims = [folder / "claim" for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda claim: claim[1].claim(str(claim[0])), enumerate(claims)))
    assert won.count(True) == 1
    assert (folder / "claim").read() == str(won.index(True))


def test_files_are_found_at_any_depth_and_hidden_ones_are_not(folder: Folder) -> None:
    for name in ("x=1/part-1", "_x=2/part-2", "_temporary/0/part-9", "_SUCCESS", ".part-1.crc", "part-0"):
        (folder / name).parent.make()
        (folder / name).write("12")
    assert [(each.below, each.size) for each in folder.files()] == [
        ("_x=2/part-2", 2),
        ("part-0", 2),
        ("x=1/part-1", 2),
    ]
    assert (folder / "none").files() == []


def test_folders_move_and_never_onto_another(folder: Folder) -> None:
    (folder / "a").make()
    (folder / "a" / "f").write("1")
    (folder / "b").make()
    with pytest.raises(OSError, match="could not rename"):
        (folder / "a").move_to(folder / "b")
    (folder / "a").move_to(folder / "deep" / "c")
    assert [each.below for each in folder.files()] == ["deep/c/f"]
    folder.delete()
    folder.delete()
    assert folder.names() == []
