"""What is shipped is whole: links, versions, the README's own commands, and both kinds of install."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import hjbdsl

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def wanted() -> set[str]:
    every = [*PROJECT["dependencies"], *(name for extra in PROJECT["optional-dependencies"].values() for name in extra)]
    return {re.match(r"[A-Za-z0-9_.-]+", entry)[0] for entry in every}


def test_every_dependency_is_pinned_to_the_version_tested():
    assert wanted() <= set(pinned())
    assert pinned()["torch"] == "2.13.0"


def test_the_version_is_told_once():
    assert PROJECT["version"] == hjbdsl.__version__


def test_the_links_of_the_package_lead_to_the_folders_at_the_top():
    assert (ROOT / "hjbdsl" / "grammars").resolve() == ROOT / "grammars"
    assert (ROOT / "hjbdsl" / "gallery").resolve() == ROOT / "problems"


def test_the_readme_holds_two_commands_that_set_themselves_up():
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    assert all(block.startswith("python3 -m venv .venv && .venv/bin/pip install") for block in blocks)
    assert "hjb solve problems/merton.hjb" in blocks[0]
    assert "pytest" in blocks[1]
    assert "<!-- test command -->\n```sh" in (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what an install needs, links kept as links."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("hjbdsl", "grammars", "problems"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.mark.slow
def test_the_wheel_holds_grammar_and_gallery(source, tmp_path):
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"hjbdsl/gallery/{path.name}" for path in (source / "problems").glob("*.hjb")}
    assert {"hjbdsl/grammars/hjb.lark", "hjbdsl/py.typed", *shipped} <= names


@pytest.mark.slow
@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_an_install_solves_its_own_gallery(source, tmp_path, editable):
    """The libraries come from this environment; only hjbdsl itself is installed anew."""
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", str(home)], check=True)
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    site = subprocess.run(
        [home / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    Path(site, "zz_libraries.pth").write_text(libraries + "\n")
    how = ["-e", str(source)] if editable else [str(source)]
    subprocess.run([home / "bin" / "python", "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", *how], check=True)
    environment = {"HJBDSL_CACHE": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    for arguments, needle in ((["gallery"], "merton"), (["doctor"], "ok"), (["gallery", "merton", "-o", "m.hjb"], "")):
        done = subprocess.run(
            [home / "bin" / "hjb", *arguments], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert needle in done.stdout
    solved = subprocess.run([home / "bin" / "hjb", "solve", "m.hjb"], cwd=tmp_path, env=environment, check=False)
    assert solved.returncode == 0
