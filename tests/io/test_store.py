"""The shelf may forget, it must never say something false."""

from __future__ import annotations

import os

import pytest

from hjbdsl.io import store


@pytest.fixture(autouse=True)
def own_shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("HJBDSL_CACHE", str(tmp_path / "shelf"))
    return tmp_path


def test_an_answer_comes_back(own_shelf):
    source = own_shelf / "a.hjb"
    source.write_text("one")
    store.write_answer("key", {"V": 1.5, "text": "σ"}, [str(source)])
    assert store.read_answer("key") == {"V": 1.5, "text": "σ"}


def test_an_answer_is_forgotten_when_a_file_changes(own_shelf):
    source, included = own_shelf / "a.hjb", own_shelf / "b.hjb"
    source.write_text("one")
    included.write_text("two")
    store.write_answer("key", {"V": 1}, [str(source), str(included)])
    included.write_text("three")
    assert store.read_answer("key") is None


def test_an_answer_is_forgotten_when_a_file_is_gone(own_shelf):
    source = own_shelf / "a.hjb"
    source.write_text("one")
    store.write_answer("key", {"V": 1}, [str(source)])
    source.unlink()
    assert store.read_answer("key") is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"files": 3}', b"\xff\xfe", b"null"])
def test_damaged_answers_count_as_absent(own_shelf, damage):
    store.write_answer("key", {"V": 1}, [])
    (own_shelf / "shelf" / "answers" / "key.json").write_bytes(damage)
    assert store.read_answer("key") is None


@pytest.mark.parametrize("damage", [b"", b"\x80\x05", b"cos\nnothing_of_that_name\n.", b"plain text"])
def test_damaged_solutions_count_as_absent(own_shelf, damage):
    store.write_solution("key", {"V": 1})
    assert store.read_solution("key") == {"V": 1}
    (own_shelf / "shelf" / "solutions" / "key.pickle").write_bytes(damage)
    assert store.read_solution("key") is None


def test_what_cannot_be_pickled_is_left_unstored():
    store.write_solution("key", lambda: None)
    assert store.read_solution("key") is None


def test_a_shelf_that_cannot_be_written_costs_nothing(own_shelf, monkeypatch):
    blocked = own_shelf / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("HJBDSL_CACHE", str(blocked))
    store.write_answer("key", {"V": 1}, [])
    assert store.read_answer("key") is None


def test_the_shelf_is_for_its_owner_only(own_shelf):
    store.write_solution("key", 1)
    assert os.stat(own_shelf / "shelf" / "solutions").st_mode & 0o077 == 0


def test_the_shelf_stays_small(own_shelf, monkeypatch):
    monkeypatch.setattr(store, "_MOST_ENTRIES", 10)
    for i in range(25):
        store.write_answer(f"key{i}", {"V": i}, [])
    assert len(os.listdir(own_shelf / "shelf" / "answers")) <= 11
    assert store.read_answer("key24") == {"V": 24}


def test_digests_know_where_a_part_ends():
    assert store.digest(["ab", "c"]) != store.digest(["a", "bc"])
    assert store.fingerprint() == store.fingerprint()
