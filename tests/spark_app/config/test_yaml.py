"""Reading a pipeline file: what is taken for what, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from http_enrich_spark.config import PipelineError, read_document
from tests.support.deadline import within


def value(scalar: str) -> Any:
    """Return what *scalar* is read as."""
    return read_document(f"key: {scalar}\n").data["key"]


def refusal(source: str | Path) -> str:
    """Return why *source* is refused, and fail if that takes long: a scheduler parses it all the time."""
    with pytest.raises(PipelineError) as caught:
        within(5, lambda: read_document(source, name="p.yaml" if isinstance(source, str) else None))
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["NO", "no", "yes", "on", "0123", "012", "12:30:45", "2026-01-01", "2026-01-01T00:00:00Z", "1_000"],
)
def test_what_older_yaml_would_change_stays_text(text: str) -> None:
    """Norway is a country, an id keeps its zeros, and a time of day is no number of seconds."""
    assert value(text) == text


@pytest.mark.parametrize(
    ("scalar", "meaning"),
    [
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("+1.5e-3", 0.0015),
        ("0", 0),
        ("-17", -17),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("'true'", "true"),
    ],
)
def test_numbers_booleans_and_null_are_those_of_yaml_1_2(scalar: str, meaning: object) -> None:
    assert value(scalar) == meaning
    assert type(value(scalar)) is type(meaning)


def test_a_duplicate_key_is_refused_where_it_stands_the_second_time() -> None:
    text = "name: a\nsink:\n  path: x\n  mode: error\n  path: y\n"

    assert refusal(text) == "p.yaml:5:3: duplicate key 'path'; keep one of them"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x\n", "p.yaml:2:4: aliases (*name) are not allowed"),
        ("a: &x [*x]\n", "p.yaml:1:8: aliases"),
        ("a: !!python/object:os.system {}\n", "p.yaml:1:4: tags (!name) are not allowed"),
        ("a: !!str 3\n", "p.yaml:1:4: tags"),
        ("!x a: 3\n", "p.yaml:1:1: tags"),
        ("<<: {a: 1}\n", "p.yaml:1:1: a key must be a plain word"),
        ("? [a, b]\n: 1\n", "p.yaml:1:3: a key must be a plain word"),
        ("a: 1\n---\nb: 2\n", "p.yaml:2:1: not valid YAML"),
        ("a: [1\nb: 2\n", "p.yaml:2:2: not valid YAML"),
        ("a: '1\n", "p.yaml:2:1: not valid YAML"),
        ("a: \0\n", "p.yaml: not valid YAML"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_place(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "[1, 2]", "hello", "null"])
def test_a_pipeline_has_keys_at_the_top(text: str) -> None:
    assert refusal(text) == "p.yaml:1:1: expected keys such as 'version: 1' at the top"


@pytest.mark.parametrize(
    "text", ["[" * 5000, "[" * 5000 + "]" * 5000, "{a: " * 5000, "- " * 5000 + "x"], ids=lambda text: text[:6]
)
def test_deep_nesting_is_refused_before_it_can_exhaust_the_stack(text: str) -> None:
    assert "nested deeper than 50 levels" in refusal(text)


def test_fifty_levels_are_deep_enough_for_any_json_body() -> None:
    depth = 49  # and the mapping at the top

    assert read_document("a: " + "[" * depth + "]" * depth).data["a"]


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12)]
    bomb = "\n".join(["l0: &l0 [lol]", *levels])

    assert refusal(bomb) == "p.yaml:2:10: aliases (*name) are not allowed; write the value out"


def test_a_file_of_256_kib_is_read_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_bytes(b"a: 1\n".ljust(256 * 1024, b"#"))
    assert read_document(file).data == {"a": 1}

    file.write_bytes(b"a: 1\n".ljust(256 * 1024 + 1, b"#"))

    assert refusal(file) == f"{file}: is larger than 256 KiB"


def test_a_text_is_measured_in_bytes() -> None:
    assert refusal("a: " + "é" * (128 * 1024)) == "p.yaml: is larger than 256 KiB"


def test_a_file_without_an_end_is_not_read_to_its_end() -> None:
    assert refusal(Path("/dev/zero")) == "/dev/zero: is larger than 256 KiB"


def test_a_file_that_is_not_utf_8_says_which_byte(tmp_path: Path) -> None:
    file = tmp_path / "latin1.yaml"
    file.write_bytes("name: Zürich\n".encode("latin-1"))

    assert refusal(file) == f"{file}: is not UTF-8 (byte 7); save it as UTF-8"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "notepad.yaml"
    file.write_bytes("name: Zürich\n".encode("utf-8-sig"))

    assert read_document(file).data == {"name": "Zürich"}


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"

    assert refusal(missing) == f"{missing}: cannot be read: No such file or directory; check the path"
    assert refusal(tmp_path) == f"{tmp_path}: cannot be read: Is a directory; check the path"


@pytest.mark.parametrize(
    ("written", "value"), [("True", True), ("FALSE", False), ("Null", None), ("NULL", None), ("tRue", "tRue")]
)
def test_true_false_and_null_may_be_capitalised(written: str, value: object) -> None:
    assert read_document(f"key: {written}").data == {"key": value}


def test_a_number_without_end_is_refused_at_its_place() -> None:
    with pytest.raises(PipelineError, match=r"p\.yaml:1:6: this number is too long"):
        read_document("key: " + "9" * 5000, name="p.yaml")


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(PipelineError, match="not valid YAML"):
        read_document("key: '\ud800'", name="p.yaml")


def test_a_large_file_is_large_even_where_it_is_cut_within_a_character(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_bytes(b"a: " + "é".encode() * 200_000)

    with pytest.raises(PipelineError, match="is larger than 256 KiB"):
        read_document(file)
