"""Files of data: every format gives the same rows, every flaw a diagnostic at the statement."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.errors import HjbError
from hjbdsl.frontend.load import load_problem
from hjbdsl.numeric.data_file import read_rows

ROWS = np.random.default_rng(0).standard_normal((80, 2))


def problem(folder, name):
    text = f'param T = 1\nstate y in R^2\nnoise W in R^2\ndy = -y dt + dW\ndata y(0) ~ file "{name}"\nreverse y on [0, T]\n'
    path = folder / "p.hjb"
    path.write_text(text)
    return load_problem(str(path))


def test_every_format_gives_the_same_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow  # noqa: PLC0415 (absent where the extra is not installed)

    np.save(tmp_path / "a.npy", ROWS)
    np.savez(tmp_path / "b.npz", y=ROWS, other=np.zeros(3))
    np.savetxt(tmp_path / "c.csv", ROWS, delimiter=",", fmt="%.17g")
    np.savetxt(tmp_path / "d.csv", ROWS[:, ::-1], delimiter=",", fmt="%.17g", header="y[2],y[1]", comments="")
    parquet.write_table(pyarrow.table({"y[2]": ROWS[:, 1], "y[1]": ROWS[:, 0]}), tmp_path / "e.parquet")
    for name in ("a.npy", "b.npz", "c.csv", "d.csv", "e.parquet"):
        assert read_rows(problem(tmp_path, name)) == pytest.approx(ROWS, rel=1e-15), name


def flawed(values):
    rows = ROWS.copy()
    rows[:2, 0] = values
    return rows


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ROWS[:, :1], "is 80 x 1, but `y` has 2 components"),
        (ROWS.ravel(), "is 160, but"),
        (ROWS[:20], "has 20 rows, too few"),
        (flawed(np.nan), "has rows that are not finite numbers: 2, the first row 1"),
        (np.ones((80, 2)), "the same row again"),
        (ROWS + 1j, "real numbers"),
        (np.array([["a", "b"]] * 80), "real numbers"),
    ],
)
def test_flaws_of_arrays(tmp_path, content, words):
    np.save(tmp_path / "a.npy", content)
    with pytest.raises(HjbError) as raised:
        read_rows(problem(tmp_path, "a.npy"))
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == "HJB057"
    assert words in diagnostic.message
    assert (diagnostic.span.line, diagnostic.help != "") == (5, True)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"1,2\n3\n", "has 1 entries in row 2"),
        ("a.csv", b"1,2\n3,x\n", "has `x` in row 2"),
        ("a.csv", b"", "has 0 rows"),
        ("a.csv", b"1,2\n3,\n", "has an empty entry in row 2"),
        ("a.npy", b"", "cannot be read"),
        ("a.npy", b"nonsense", "is damaged"),
        ("a.npz", b"PK nonsense", "is damaged"),
        ("a.parquet", b"nonsense", "cannot be read"),
        ("a.txt", b"1 2", "ends in `.txt`"),
    ],
)
def test_flaws_of_files(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HjbError) as raised:
        read_rows(problem(tmp_path, name))
    assert words in raised.value.diagnostics[0].message


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}] * 80, dtype=object), allow_pickle=True)
    with pytest.raises(HjbError) as raised:
        read_rows(problem(tmp_path, "a.npy"))
    assert "no array of numbers" in raised.value.diagnostics[0].message
