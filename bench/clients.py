"""64 clients of 16 accounts at once: they capture, edit, share, publish, delete, restore, purge and deploy, and then it must all add up.

    script/bench clients [--seconds 120] [--database postgresql] [--clients 64]

The real API on its unix socket, the real workflow engine and databases (PostgreSQL: a server of its own, durable), a store on disk, and a
host in memory; meanwhile the cloud operator sweeps the store, with no grace. What clients know of what they did (`one_client`), what the
API tells afterwards, and what the database holds once the daemon has stopped are compared (`invariants`). Ends with status 1
where something does not hold, with a list of it.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import invariants
import machine
import one_client
import site_of_api
from estampe import errors
from estampe.schemas import account, publishing, server, store

PROCESSES = 4
SERVERS_EACH = 3  # to capture
SWEEP_SECONDS = 5.0
SETTINGS = {"concurrent_captures": 8, "concurrent_deploys": 4, "copy_threads": 2}


def make_accounts(place: site_of_api.Site, names: Sequence[str]) -> dict[str, str]:
    """Accounts that may publish, each with its servers; a quarter of them with quotas that are soon reached. Their keys, by name."""
    with place.operator() as operator:
        for nth, name in enumerate(names):
            operator.create_account(account.CreateAccountRequest(name=name))
            operator.allow_publishing(name, publishing.AllowRequest(may_publish=True))
            for each in servers_of(name):
                operator.assign_server(each, server.AssignRequest(account=name))
            if nth % 4 == 0:
                operator.edit_quota(name, account.QuotaRequest(templates=10, servers=SERVERS_EACH + 2))
    return {name: place.add_key(name) for name in names}


def servers_of(name: str) -> list[str]:
    return [f"{name}-{nth}" for nth in range(SERVERS_EACH)]


def places(place: site_of_api.Site, keys: dict[str, str], *, patience_seconds: float) -> list[one_client.Place]:
    """Where each client works."""
    return [
        one_client.Place(
            socket=place.socket, account=name, key=key, nth=nth, others=[each for each in keys if each != name],
            servers=servers_of(name), seed=number * one_client.CLIENTS_EACH + nth, patience_seconds=patience_seconds,
        )
        for number, (name, key) in enumerate(keys.items())
        for nth in range(one_client.CLIENTS_EACH)
    ]  # fmt: skip


def work(of: Sequence[one_client.Place], *, seconds: float) -> one_client.Tally:
    """All clients, in some processes."""
    context, whole = multiprocessing.get_context("spawn"), one_client.Tally()
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        for part in [pool.submit(_process, of[nth::PROCESSES], seconds) for nth in range(PROCESSES)]:
            whole.add(part.result())
    return whole


def _process(of: Sequence[one_client.Place], seconds: float) -> one_client.Tally:
    whole, until = one_client.Tally(), time.monotonic() + seconds
    with concurrent.futures.ThreadPoolExecutor(len(of)) as pool:
        for part in [pool.submit(one_client.OneClient(each).run, until) for each in of]:
            whole.add(part.result())
    return whole


@contextlib.contextmanager
def sweeping(place: site_of_api.Site) -> Iterator[Counter[str]]:
    """Sweeps meanwhile, one after the other; how they ended."""
    ended, stop = Counter[str](), threading.Event()

    def sweep() -> None:
        with place.operator() as operator:
            while not stop.wait(SWEEP_SECONDS):
                try:
                    begun = operator.start_sweep(store.SweepRequest(grace_seconds=0))
                    *_, last = operator.watch_operation(str(begun.id))
                except errors.EstampeError as error:
                    ended[error.code] += 1
                else:
                    ended[last.state.value] += 1

    thread = threading.Thread(target=sweep)
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join()


def print_tally(whole: one_client.Tally, *, seconds: float) -> None:
    """What was done and refused."""
    count = sum(len(took) for took in whole.seconds.values())
    print(f"\n{count} actions in {seconds:g} s ({count / seconds:.0f}/s), {sum(whole.refused.values())} refused")
    print(f"{'action':16} {'done':>6} {'median':>9} {'99th pct.':>9} {'longest':>9}   refused")
    for action in sorted({*whole.seconds, *(action for action, _code in whole.refused)}):
        took = sorted(whole.seconds[action]) or [0.0]
        figures = (took[len(took) // 2], took[int(len(took) * 0.99)], took[-1])
        told = " ".join(f"{each * 1000:6.0f} ms" for each in figures)
        codes = ", ".join(f"{code} {n}" for (of, code), n in whole.refused.most_common() if of == action)
        print(f"{action:16} {len(whole.seconds[action]):6} {told}   {codes}")


def run(place: site_of_api.Site, asked: argparse.Namespace) -> list[str]:
    """One database; what does not hold."""
    names = [f"acct-{n:02d}" for n in range(asked.clients // one_client.CLIENTS_EACH)]
    with place.serving(servers=[each for name in names for each in servers_of(name)], **SETTINGS):
        keys = make_accounts(place, names)
        begun = time.monotonic()
        with sweeping(place) as swept:
            whole = work(places(place, keys, patience_seconds=asked.patience), seconds=asked.seconds)
        took = time.monotonic() - begun
        print_tally(whole, seconds=took)
        found = invariants.Found(place=place, keys=keys, whole=whole)
        found.look_by_api()
    found.look_behind_it()
    print(f"\nsweeps meanwhile: {dict(swept)}; operations: {dict(found.operations)}")
    print(f"{place.kind}: " + ("all holds" if not found.broken else f"{len(found.broken)} things do not hold"))
    return found.broken


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="script/bench clients", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=site_of_api.DATABASES, action="append", help="default: both")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clients", type=int, default=64, help=f"{one_client.CLIENTS_EACH} to an account")
    parser.add_argument("--patience", type=float, default=30, help="seconds; what is not answered by then is broken")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/estampe-bench-api"), help="a folder for 1 GiB")  # noqa: S108
    asked = parser.parse_args()
    print(machine.told())
    broken = []
    for kind in asked.database or site_of_api.DATABASES:
        print(f"\n{kind}: {asked.clients} clients for {asked.seconds:g} s", flush=True)
        with site_of_api.site(asked.work, kind) as place:
            broken += [f"{kind}: {each}" for each in run(place, asked)]
    for each in broken:
        print(each)
    raise SystemExit(1 if broken else 0)


if __name__ == "__main__":
    main()
