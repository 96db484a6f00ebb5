"""`muster resign`: after a change of signing keys, sign anew what compacted topics keep. Keys are set elsewhere."""

from __future__ import annotations

from muster.cli.output import JsonOption, out, print_json, run
from muster.client.resigning import resign as sign_anew
from muster.connect import reach, read_settings
from muster.contracts.errors import ConfigurationError


def resign(json: JsonOption = False) -> None:
    """Sign schedules and revocations in force once more, with the first of MUSTER_SIGNING_KEYS.

    Needed before an old key is removed, and before MUSTER_ACCEPT_UNSIGNED is: these records are kept for ever. Events,
    heartbeats and the catalog are written anew by themselves.

    Example: MUSTER_SIGNING_KEYS=k2:...,k1:... muster resign
    """

    async def work() -> dict[str, int]:
        settings = read_settings()
        if not settings.signing.keys:
            raise ConfigurationError("MUSTER_SIGNING_KEYS is not set: there is no key to sign with")
        return await sign_anew(*reach(settings), next(iter(settings.signing.keys)))

    done = run(work(), json=json)
    if json:
        print_json(done)
        return
    for topic, count in done.items():
        out.print(f"{topic}: {count:,} signed anew")
