"""Tables of text as spreadsheets of several countries write them, each with the same kernel in it."""

from pathlib import Path

import numpy as np
import pytest

from acutance.images.kernel_file import read_kernel

VALUES = np.outer([1, 2, 1], [1, 4, 1]) / 24


def table(separator: str, form: str = "{:.6f}", point: str = ".", quote: str = "") -> str:
    rows = ([quote + form.format(v).replace(".", point) + quote for v in row] for row in VALUES)
    return "\n".join(separator.join(row) for row in rows) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        table(";", point=","),
        table("\t", point=","),
        table(" ", point=","),
        table("  ", point=","),
        table(";", "{:.6E}", ","),
        table(";", point=",").replace("\n", ";\n"),
        "sep=;\n" + table(";", point=","),
        "sep=,\n" + table(","),
        table(",", quote='"'),
        table(";", point=",", quote='"'),
        "0;0;0\n" + table(";", point=",") + "0;0;0\n",
        "\ufeff" + table(";", point=","),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_of_any_country_is_read(tmp_path: Path, text: str, encoding: str, end: str) -> None:
    file = tmp_path / "k.csv"
    file.write_bytes(text.lstrip("\ufeff" if encoding == "utf-16" else "").replace("\n", end).encode(encoding))
    kernel = read_kernel(file).kernel[0, 0].numpy()
    np.testing.assert_allclose(kernel, VALUES, atol=1e-5)
