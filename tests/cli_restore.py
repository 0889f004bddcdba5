"""`acutance restore`, run by a test."""

from __future__ import annotations

import pytest
from click.testing import Result
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.errors import AcutanceError

runner = CliRunner()


def run(*arguments: object, status: int = 0) -> Result:
    result = runner.invoke(app, ["restore", *map(str, arguments)])
    assert result.exit_code == status, result.output + str(result.exception)
    return result


def refused(*arguments: object) -> str:
    with pytest.raises(AcutanceError) as caught:
        runner.invoke(app, ["restore", *map(str, arguments)], catch_exceptions=False)
    return str(caught.value)
