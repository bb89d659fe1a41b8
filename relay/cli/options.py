"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RoutesFile = Annotated[
    Path, typer.Option("--routes", metavar="FILE", envvar="RELAY_ROUTES", help="The routes to look at.")
]
TemplatesFolder = Annotated[
    Path, typer.Option("--templates", metavar="DIR", envvar="RELAY_TEMPLATES", help="The folder of templates.")
]
