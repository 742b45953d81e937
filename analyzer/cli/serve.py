"""The command that shows runs in a browser: serve."""

from __future__ import annotations

from pathlib import Path

import click

from analyzer.cli.sections import command
from analyzer.errors import OutputError
from analyzer.escape import printable


@command()
@click.option("--address", default="127.0.0.1", help="Where to listen [127.0.0.1].")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any."
)
@click.argument("folder", type=Path, default=Path("reports"))
def serve(folder: Path, address: str, port: int) -> None:
    """Show the runs in FOLDER [reports] in a browser, the latest first.

    Read-only, and to this machine alone unless --address says otherwise. FOLDER is a run, or holds
    runs. It ends with Ctrl-C.
    """
    from analyzer.cli.server import is_loopback, server_of

    with server_of(folder, address, port) as server:
        host = f"[{address}]" if ":" in address else address
        if not is_loopback(address):
            click.echo("whoever reaches this address can read the runs", err=True)
        click.echo(printable(f"http://{host}:{server.server_address[1]}/"))
        try:
            server.serve_forever()
        except OSError as error:
            raise OutputError(f"the server ended: {error.strerror}") from error
