"""`hjb gallery [NAME]`: the problems that come with the program."""

from __future__ import annotations

import json
import re
import shutil
from difflib import get_close_matches
from pathlib import Path

import click

from hjbdsl.cli.options import AS_JSON, FORCE, OUTPUT, refuse_overwriting, write_text
from hjbdsl.errors import UsageError

_FOLDER = Path(__file__).resolve().parents[1] / "gallery"
_DATA = re.compile(r'~ file "([\w.-]+)"')
_HEADER = re.compile(r'^problem\s+(\S+)(?:\s+"([^"]*)")?', re.MULTILINE)


@click.command()
@click.argument("name", metavar="[NAME]", required=False, help="Print this one.")
@OUTPUT
@FORCE
@AS_JSON
def run(
    name: str | None,
    output: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """List the shipped problems; with a NAME print that file, with -o copy it."""
    files = {path.stem: path for path in sorted(_FOLDER.glob("*.hjb"))}
    if name is not None:
        text = _chosen(files, name.removesuffix(".hjb")).read_text(encoding="utf-8")
        if output is not None:
            refuse_overwriting(output, force)
            write_text(output, text)
            _copy_data(text, Path(output).parent, force)
        else:
            click.echo(text, nl=False)
        return 0
    entries = [{"name": stem, "title": _title(path), "path": str(path)} for stem, path in files.items()]
    if as_json:
        click.echo(json.dumps(entries, ensure_ascii=False))
        return 0
    width = max((len(stem) for stem in files), default=0)
    for entry in entries:
        click.echo(f"{entry['name']:<{width}}  {entry['title']}".rstrip())
    return 0


def _chosen(files: dict[str, Path], name: str) -> Path:
    if name in files:
        return files[name]
    near = get_close_matches(name, files, n=1)
    advice = f"did you mean `{near[0]}`?" if near else "`hjb gallery` lists them"
    raise UsageError(f"the gallery has no problem `{name}`; {advice}")


def _copy_data(text: str, folder: Path, force: bool) -> None:
    """The files of samples that the problem names, beside its copy."""
    for name in _DATA.findall(text):
        refuse_overwriting(str(folder / name), force)
        shutil.copyfile(_FOLDER / name, folder / name)


def _title(path: Path) -> str:
    header = _HEADER.search(path.read_text(encoding="utf-8"))
    return (header[2] or "") if header else ""
