"""derive, fmt, new, gallery, doctor."""

from __future__ import annotations

import json

import pytest

from .conftest import REGULATOR, ROOT

GALLERY = sorted(path.stem for path in (ROOT / "problems").glob("*.hjb"))


@pytest.mark.parametrize(("form", "needle"), [("text", "V"), ("latex", "\\"), ("html", "<"), ("json", "{")])
def test_derive_in_every_form(hjb, regulator, form, needle):
    brief = hjb("derive", regulator, "--format", form)
    whole = hjb("derive", regulator, "--format", form, "--steps")
    assert (brief.status, whole.status) == (0, 0), brief.err + whole.err
    assert needle in brief.out
    assert len(whole.out) > len(brief.out)
    if form == "json":
        json.loads(brief.out)
        json.loads(whole.out)


def test_derive_writes_to_a_file(hjb, regulator, tmp_path):
    run = hjb("derive", regulator, "--format", "latex", "--steps", "-o", "out.tex")
    assert (run.status, run.out) == (0, "")
    assert "\\documentclass" in (tmp_path / "out.tex").read_text()


def test_derive_refuses_an_unknown_form(hjb, regulator):
    assert hjb("derive", regulator, "--format", "word").status == 2


def test_derive_json_is_the_json_form_and_contradicts_another(hjb, regulator):
    assert hjb("derive", regulator, "--json").out == hjb("derive", regulator, "--format", "json").out
    assert hjb("derive", regulator, "--json", "--format", "latex").status == 2


def test_derive_of_a_wrong_file(hjb):
    assert hjb("derive", "-", given="state x in\n").status == 3


def test_derive_from_the_shelf_is_the_same(hjb, regulator):
    first, second, anew = (hjb("derive", regulator, *extra).out for extra in ((), (), ("--no-cache",)))
    assert first == second == anew


def test_fmt_rewrites_in_place_and_once(hjb, tmp_path):
    path = tmp_path / "messy.hjb"
    path.write_text(REGULATOR.replace("q*x^2 + r*a^2", "q * x ^ 2+r*a^ 2").replace("param q", "param   q"))
    assert hjb("fmt", "--check", "messy.hjb").status == 1
    before = path.read_text()
    assert hjb("fmt", "messy.hjb").status == 0
    once = path.read_text()
    assert once != before
    assert hjb("fmt", "messy.hjb").status == 0
    assert path.read_text() == once
    assert hjb("fmt", "--check", "messy.hjb").status == 0
    assert hjb("fmt", "-", given=before).out == once


def test_fmt_leaves_a_wrong_file_as_it_is(hjb, tmp_path):
    path = tmp_path / "bad.hjb"
    path.write_text("state x in\n")
    assert hjb("fmt", "bad.hjb").status == 3
    assert path.read_text() == "state x in\n"


def test_new_starts_a_file_that_solves(hjb, tmp_path):
    assert hjb("new", "mine").status == 0
    assert hjb("check", "mine.hjb").status == 0
    assert hjb("fmt", "--check", "mine.hjb").status == 0
    assert hjb("solve", "mine.hjb", "--json").json["status"] == "proved"
    assert hjb("new", "mine").status == 2
    assert hjb("new", "mine", "--force").status == 0
    assert hjb("new", "9lives").status == 2
    assert hjb("new", "no/such/folder/x").status == 2


@pytest.mark.parametrize("name", ["in", "and", "for", "integral", "not"])
def test_new_refuses_a_reserved_word(hjb, tmp_path, name):
    run = hjb("new", name)
    assert run.status == 2
    assert f"`{name}` is a reserved word" in run.err
    assert not list(tmp_path.iterdir())


def test_new_quotes_a_path_for_the_shell(hjb):
    run = hjb("new", "a b")
    assert run.status == 0
    assert "hjb check 'a b.hjb'" in run.out
    assert hjb("check", "a b.hjb").status == 0


def test_the_gallery_overwrites_only_when_told(hjb, tmp_path):
    mine = tmp_path / "mine.hjb"
    mine.write_text("my own work\n")
    run = hjb("gallery", "merton", "-o", "mine.hjb")
    assert run.status == 2
    assert "--force" in run.err
    assert mine.read_text() == "my own work\n"
    assert hjb("gallery", "merton", "-o", "mine.hjb", "--force").status == 0
    assert mine.read_text() == (ROOT / "problems" / "merton.hjb").read_text()


def test_the_gallery_lists_and_copies(hjb, tmp_path):
    assert [entry["name"] for entry in hjb("gallery", "--json").json] == GALLERY
    assert all(name in hjb("gallery").out for name in GALLERY)
    text = (ROOT / "problems" / "merton.hjb").read_text()
    assert hjb("gallery", "merton").out == text
    assert hjb("gallery", "merton", "-o", "copy.hjb").status == 0
    assert (tmp_path / "copy.hjb").read_text() == text
    assert "did you mean `merton`" in hjb("gallery", "mertn").err
    assert hjb("gallery", "../../pyproject").status == 2


def test_the_gallery_has_a_title_for_each(hjb):
    assert all(entry["title"] for entry in hjb("gallery", "--json").json)


def test_the_doctor_is_content_here(hjb):
    run = hjb("doctor")
    assert run.status == 0, run.out
    assert "FAIL" not in run.out
    assert "V = 2" in run.out
    assert hjb("doctor", "--json").json["ok"] is True
