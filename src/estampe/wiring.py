"""Where everything meets: settings become plain values, adapters become services, the daemon runs.

settings ─▶ database, store, libvirt host, engine ─▶ services and workflow bodies ─▶ API and console on a unix socket and by TCP
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

import estampe
from estampe import collector, config, errors, log, sign_in_wiring
from estampe.accounts import auditing, bundle
from estampe.api import app as api_app
from estampe.api import metrics, readiness, tcp
from estampe.api import server as api_server
from estampe.api import services as api_services
from estampe.capture import copying, estimate, finish, offline
from estampe.capture import service as capture_service
from estampe.capture import workflow as capture_workflow
from estampe.catalogue import contents, growth, housekeeping, life, lineage, profiles, sharing, storage
from estampe.catalogue import retention as catalogue_retention
from estampe.catalogue import service as catalogue_service
from estampe.db import accounts as account_rows
from estampe.db import api_keys as key_rows
from estampe.db import audit as audit_rows
from estampe.db import (
    database,
    idempotency,
    keeper,
    keeper_postgresql,
    keeper_sqlite,
    operations,
    retention,
    servers,
    templates,
)
from estampe.db import growth as growth_rows
from estampe.db import sharing as sharing_rows
from estampe.deploy import adapting, confirm, resolve, seed
from estampe.deploy import service as deploy_service
from estampe.deploy import workflow as deploy_workflow
from estampe.jobs import base as jobs
from estampe.jobs import dbos_engine, dispatch, periodic, runner
from estampe.maintenance import comparison
from estampe.maintenance import service as maintenance_service
from estampe.model import operation, template
from estampe.servers import footprint
from estampe.servers import service as server_service
from estampe.servers import terminals as server_terminals
from estampe.store import allocator, local
from estampe.store import base as stores
from estampe.store import chunks as store_chunks
from estampe.virt import accel, libvirt_host
from estampe.virt import base as virt
from estampe.web import app as web_app

# Raised when the steps of a workflow change their names or order: an unfinished operation of an older generation is undone.
GENERATION: Final = 1
_EXECUTOR: Final = "local"
_STOP_SECONDS: Final = 20.0  # systemd gives 90 by default
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Directories below the state and run directories."""

    database: Path
    jobs: Path
    work: Path
    appliance: Path
    seeds: Path
    sockets: Path

    @classmethod
    def make(cls, settings: config.Settings) -> Places:
        """Made where they are missing. Seeds and their parents may be traversed: QEMU's user opens its seed by path.

        Raises: errors.InvalidSetting.
        """
        state, run = settings.state_directory, settings.run_directory
        with _usable("state_directory", state):
            for directory, mode in ((state, 0o711), (state / "work", 0o700), (state / "seeds", 0o711)):
                directory.mkdir(mode=mode, parents=True, exist_ok=True)
        with _usable("run_directory", run):
            for directory, mode in ((run, 0o755), (run / "operations", 0o700)):
                directory.mkdir(mode=mode, parents=True, exist_ok=True)
        return cls(
            database=state / "estampe.db",
            jobs=state / "jobs.db",
            work=state / "work",
            appliance=state / "appliance",
            seeds=state / "seeds",
            sockets=run / "operations",
        )


@dataclass(kw_only=True)
class Installation:
    """Everything wired, before the engine works: what the daemon serves, and what a test drives without a socket."""

    settings: config.Settings
    services: api_services.Services
    engine: jobs.Engine
    rows: operations.Operations
    housekeeping: housekeeping.Housekeeping
    growth: growth.GrowthService
    meter: metrics.Metrics
    audit: audit_rows.Audit
    keys: key_rows.ApiKeys
    readers: int  # of the database, see `database.Database.readers`
    _closing: contextlib.ExitStack = field(repr=False)

    def launch(self) -> None:
        """Begin to work: finish what was cut off, then take what is queued."""
        self.housekeeping.life.finish_purges()
        self.engine.launch()
        runner.resume(self.engine, self.rows, clock=dispatch.utc_now)
        self._prune()
        self.housekeeping.tend()

    def _prune(self) -> None:
        now = dispatch.utc_now()
        limit = now - datetime.timedelta(days=self.settings.operation_days)
        self.engine.forget(self.rows.prune(older_than=limit))
        limit = now - datetime.timedelta(days=self.settings.audit_days)
        self.audit.prune(older_than=limit)
        self.keys.prune(older_than=limit)

    def close(self) -> None:
        """Stop working; what is unfinished goes on at the next launch."""
        self.engine.close(timeout_seconds=_STOP_SECONDS)
        self._closing.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """The adapters that an installation is wired over."""

    db: database.Database
    store: stores.Store
    host: virt.Host
    engine: jobs.Engine
    adapter: adapting.Adapting | None = None  # None: the appliance of this host


def install(settings: config.Settings, *, observer: jobs.StepObserver | None = None) -> Installation:
    """Wire an installation by its settings; `observer` is told of every step (see `jobs.base.StepObserver`)."""
    allocator.keep_freed_memory()
    places = Places.make(settings)
    with contextlib.ExitStack() as opening:
        db = opening.enter_context(contextlib.closing(_database(settings, places)))
        opening.enter_context(db.alone())
        db.upgrade()
        store = _store(settings, templates.Templates(db))
        host = opening.enter_context(contextlib.closing(_host(settings)))
        engine = dbos_engine.DbosEngine(
            _postgresql_url(settings) or f"sqlite:///{places.jobs}",
            executor_id=_EXECUTOR,
            generation=GENERATION,
            concurrency={
                operation.Kind.CAPTURE: settings.concurrent_captures,
                operation.Kind.DEPLOY: settings.concurrent_deploys,
            },
            observer=observer,
        )
        adapters = Adapters(db=db, store=store, host=host, engine=engine)
        return wire(settings, places, adapters, closing=opening.pop_all())


def _postgresql_url(settings: config.Settings) -> str | None:
    """None: SQLite."""
    return None if settings.database_url is None else settings.database_url.get_secret_value()


def _database(settings: config.Settings, places: Places) -> database.Database:
    return database.Database.open(_postgresql_url(settings) or f"sqlite:///{places.database}")


def _store(settings: config.Settings, catalogue: templates.Templates) -> local.LocalStore:
    """The store; a new one only where no template needs an old one (which may lie on a disk that is not mounted)."""
    if catalogue.is_any(template.COMPLETE):
        return local.LocalStore.open(settings.store)
    return local.LocalStore.ensure(settings.store)


def _host(settings: config.Settings) -> libvirt_host.LibvirtHost:
    return libvirt_host.LibvirtHost(
        settings.libvirt_uri, nvram_directory=settings.nvram_directory, swtpm_directory=settings.swtpm_directory,
        has_kvm=lambda: is_kvm_usable(settings),
    )  # fmt: skip


def is_kvm_usable(settings: config.Settings) -> bool:
    """By the setting, else by booting a probe once per boot of the host."""
    if settings.accelerator != "auto":
        return settings.accelerator == "kvm"
    return accel.probe_kvm(answer_path=settings.state_directory / "kvm-probe.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What workflow bodies and services both stand on."""

    settings: config.Settings
    places: Places
    adapters: Adapters
    clock: Callable[[], float]  # seconds; with `wait`, what servers are waited for with
    wait: Callable[[float], None]
    now: Callable[[], datetime.datetime]  # what the life of templates is counted with
    chunks: store_chunks.Chunks
    operations: operations.Operations
    templates: templates.Templates
    servers: servers.Servers
    resolver: resolve.Resolver
    footprint: footprint.Footprint

    def capture(self) -> capture_workflow.CaptureWorkflow:
        """The body of a capture."""
        settings, host, store = self.settings, self.adapters.host, self.adapters.store
        times = offline.Times(clock=self.clock, wait=self.wait)
        return capture_workflow.CaptureWorkflow(
            host=host,
            templates=self.templates,
            servers=self.servers,
            stopper=offline.Offline(
                host=host,
                times=times,
                late_shutdown_seconds=settings.late_shutdown_seconds,
                restore_seconds=settings.power_restore_seconds,
            ),
            copier=copying.Copying(host=host, store=store, chunks=self.chunks, threads=settings.threads),
            finisher=finish.Finisher(
                store_location=str(settings.store),
                chunk_size_bytes=store.chunk_size_bytes,
                is_kvm_usable=lambda: is_kvm_usable(settings),
                cache_directory=self.places.appliance,
            ),
            work_directory=self.places.work,
            socket_directory=self.places.sockets,
        )

    def deploy(self) -> deploy_workflow.DeployWorkflow:
        """The body of a deploy."""
        settings, host = self.settings, self.adapters.host
        return deploy_workflow.DeployWorkflow(
            host=host,
            store=self.adapters.store,
            chunks=self.chunks,
            resolver=self.resolver,
            templates=self.templates,
            servers=self.servers,
            seeds=seed.Seeds(directory=self.places.seeds),
            work_directory=self.places.work,
            sockets=self.places.sockets,
            threads=settings.threads,
            adapter=self.adapters.adapter
            or adapting.Adapter(
                store_location=str(settings.store),
                is_kvm_usable=lambda: is_kvm_usable(settings),
                cache_directory=self.places.appliance,
                threads=settings.threads,
            ),
            confirmer=confirm.Confirmer(
                host=host, timeout_seconds=settings.confirm_timeout_seconds, clock=self.clock, wait=self.wait
            ),
        )

    def keeper(self) -> housekeeping.Housekeeping:
        """The life of templates."""
        log = auditing.AuditService(rows=audit_rows.Audit(self.adapters.db), now=dispatch.utc_now)
        record = auditing.Unasked(audit=log, accounts=account_rows.Accounts(self.adapters.db))
        lives = life.LifeService(
            store=self.adapters.store,
            rows=self.templates,
            operations=self.operations,
            record=record,
            trash_days=self.settings.trash_days,
            now=self.now,
        )
        rules = catalogue_retention.RetentionService(
            rules=retention.Rules(self.adapters.db),
            rows=self.templates,
            operations=self.operations,
            life=lives,
            record=record,
            now=self.now,
        )
        return housekeeping.Housekeeping(life=lives, retention=rules)

    def growth(self) -> growth.GrowthService:
        """What counts the store from time to time."""
        return growth.GrowthService(store=self.adapters.store, rows=growth_rows.Samples(self.adapters.db), now=self.now)

    def services(self, keeper: housekeeping.Housekeeping, store: storage.StorageService) -> api_services.Services:
        """What the API is a face of."""
        host, dispatcher = self.adapters.host, store.dispatcher
        all_servers = server_service.ServerService(
            host=host,
            rows=self.servers,
            templates=self.templates,
            operations=self.operations,
            seed_directory=self.places.seeds,
            clock=self.clock,
            wait=self.wait,
        )
        return api_services.Services(
            servers=all_servers,
            terminals=server_terminals.TerminalService(servers=all_servers),
            captures=capture_service.CaptureService(
                host=host,
                store=self.adapters.store,
                servers=all_servers,
                templates=self.templates,
                dispatcher=dispatcher,
                estimator=estimate.Estimator(
                    store=self.adapters.store, chunks=self.chunks, socket_directory=self.places.sockets
                ),
            ),
            deployments=deploy_service.DeployService(
                host=host,
                store=self.adapters.store,
                templates=self.templates,
                dispatcher=dispatcher,
                resolver=self.resolver,
                footprint=self.footprint,
            ),
            templates=catalogue_service.TemplateService(store=self.adapters.store, rows=self.templates),
            operations=dispatcher,
            storage=store,
            growth=self.growth(),
            idempotency=idempotency.Keys(self.adapters.db),
            readiness=self._readiness(),
            life=keeper.life,
            contents=contents.ContentService(store=self.adapters.store, rows=self.templates),
            lineage=lineage.LineageService(
                rows=self.templates, accounts=account_rows.Accounts(self.adapters.db), servers=all_servers
            ),
            sharing=self._sharing(),
            retention=keeper.retention,
            profiles=profiles.ProfileService(),
            **vars(self.accounts()),
        )

    def _sharing(self) -> sharing.SharingService:
        db = self.adapters.db
        return sharing.SharingService(
            rows=self.templates,
            shares=sharing_rows.Shares(db),
            hidden=sharing_rows.Hidden(db),
            publishing=sharing_rows.Publishing(db),
            accounts=account_rows.Accounts(db),
            now=self.now,
        )

    def _readiness(self) -> readiness.Readiness:
        adapters = self.adapters
        return readiness.Readiness(
            {
                "database": self.operations.count,
                "store": adapters.store.available_bytes,
                "libvirt": adapters.host.list_networks,
                "engine": adapters.engine.list_unfinished,
            }
        )

    def meter(self, store: storage.StorageService) -> metrics.Metrics:
        """What the daemon measures of itself."""
        return metrics.Metrics(
            operations=self.operations.count,
            usage=metrics.CachedUsage(store.usage),
            available_bytes=self.adapters.store.available_bytes,
        )

    def accounts(self) -> bundle.Bundle:
        """What knows of accounts and people."""
        return bundle.Bundle.make(
            self.adapters.db,
            servers=self.servers,
            footprint=self.footprint,
            forget=self.adapters.engine.forget,
            signing=sign_in_wiring.make(self.settings),
        )


def wire(
    settings: config.Settings,
    places: Places,
    adapters: Adapters,
    *,
    closing: contextlib.ExitStack,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime.datetime] = dispatch.utc_now,
) -> Installation:
    """Services and workflow bodies over the adapters; `closing` gives the adapters back at the installation's close.

    `clock` (seconds) and `wait` are what servers are waited for with, `now` is what the life of templates is counted with.
    """
    ground = _ground(settings, places, adapters, clock=clock, wait=wait, now=now)
    keeper = ground.keeper()
    store = storage.StorageService(
        store=adapters.store,
        templates=ground.templates,
        operations=ground.operations,
        dispatcher=dispatch.Dispatcher(rows=ground.operations, engine=adapters.engine),
        default_grace_seconds=settings.sweep_grace_seconds,
    )
    meter = ground.meter(store)
    _register(ground, store, meter)
    return Installation(
        settings=settings,
        services=ground.services(keeper, store),
        engine=adapters.engine,
        rows=ground.operations,
        housekeeping=keeper,
        growth=ground.growth(),
        meter=meter,
        audit=audit_rows.Audit(adapters.db),
        keys=key_rows.ApiKeys(adapters.db),
        readers=adapters.db.readers,
        _closing=closing,
    )


def _ground(
    settings: config.Settings,
    places: Places,
    adapters: Adapters,
    *,
    clock: Callable[[], float],
    wait: Callable[[float], None],
    now: Callable[[], datetime.datetime],
) -> _Ground:
    defaults = resolve.Defaults(pool=settings.default_pool, network=settings.default_network)
    server_rows = servers.Servers(adapters.db, clock=dispatch.utc_now)
    return _Ground(
        settings=settings,
        places=places,
        adapters=adapters,
        clock=clock,
        wait=wait,
        now=now,
        chunks=store_chunks.Chunks(adapters.store, level=settings.compression_level),
        operations=operations.Operations(adapters.db),
        templates=templates.Templates(adapters.db, clock=now),
        servers=server_rows,
        resolver=resolve.Resolver(host=adapters.host, defaults=defaults),
        footprint=footprint.Footprint(host=adapters.host, rows=server_rows),
    )


def _register(ground: _Ground, store: storage.StorageService, meter: metrics.Metrics) -> None:
    """Name the bodies of all kinds of operations to the engine."""
    capture, deploy = ground.capture(), ground.deploy()
    for kind, body, abandon in (
        (operation.Kind.CAPTURE, capture, capture.abandon),
        (operation.Kind.DEPLOY, deploy, deploy.abandon),
        (operation.Kind.CHECK, store.run_check, runner.nothing_to_undo),
        (operation.Kind.SWEEP, store.run_sweep, runner.nothing_to_undo),
    ):
        runner.register(
            ground.adapters.engine,
            kind,
            body,
            operations=ground.operations,
            clock=dispatch.utc_now,
            abandon=abandon,
            meter=meter,
        )


def maintain(settings: config.Settings) -> maintenance_service.Maintenance:
    """What looks after the database, without a daemon. To change it, hold `alone`."""
    places, url = Places.make(settings), _postgresql_url(settings)
    kept: keeper.Keeper
    if url is None:
        kept = keeper_sqlite.SqliteKeeper(catalogue=places.database, jobs=places.jobs)
    else:
        kept = keeper_postgresql.PostgresqlKeeper(url)
    return maintenance_service.Maintenance(
        keeper=kept,
        open_database=lambda: _database(settings, places),
        directory=settings.state_directory,
        version=estampe.__version__,
        clock=dispatch.utc_now,
    )


def compare(settings: config.Settings) -> comparison.Comparison:
    """The catalogue against the store and the host, as far as they answer."""
    with contextlib.closing(_database(settings, Places.make(settings))) as db:
        return comparison.of_both(
            templates.Templates(db),
            servers.Servers(db, clock=dispatch.utc_now),
            open_store=lambda: local.LocalStore.open(settings.store),
            open_host=lambda: contextlib.closing(_host(settings)),
        )


def serve(settings: config.Settings) -> None:
    """The daemon: works and answers until SIGTERM or SIGINT, then stops cleanly."""
    log.configure(settings.log_level, settings.log_format)
    endpoint = _endpoint(settings)
    with alone(settings):
        installation = install(settings)
        try:
            installation.launch()
            origin = sign_in_wiring.public_origin(settings)
            api = api_app.create(
                installation.services, meter=installation.meter, readers=installation.readers, public_origin=origin
            )
            site = web_app.create(api, public_origin=origin)
            collector.set_aside()
            _log.info("serving", socket=str(settings.socket), listen=settings.listen)
            with _housekeeping(installation).running(), _growth(installation).running():
                api_server.serve(site, socket_path=settings.socket, group=settings.group, endpoint=endpoint)
        finally:
            _log.info("stopping")
            installation.close()
    _leave()


def _endpoint(settings: config.Settings) -> tcp.Endpoint | None:
    if settings.listen is None:
        return None
    return tcp.parse(
        settings.listen, certificate=settings.tls_certificate, key=settings.tls_key, proxies=settings.trusted_proxies
    )


def _housekeeping(installation: Installation) -> periodic.Periodic:
    return periodic.Periodic(
        installation.housekeeping.tend, name="housekeeping", interval_seconds=housekeeping.INTERVAL_SECONDS
    )


def _growth(installation: Installation) -> periodic.Periodic:
    """In a thread of its own: counting a large store takes minutes, and purges need not wait for it."""
    return periodic.Periodic(
        installation.growth.sample, name="growth", interval_seconds=growth.INTERVAL_SECONDS,
        first_seconds=growth.FIRST_SECONDS,
    )  # fmt: skip


def _leave() -> None:
    """End the process even where a step did not hear in time that it shall stop: it is run again at the next start.

    The interpreter would wait for its thread (threading, "non-daemon threads").
    """
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        logging.shutdown()
        os._exit(0)


@contextlib.contextmanager
def alone(settings: config.Settings) -> Iterator[None]:
    """One daemon per state directory: a second one would run the same operations again.

    Raises: errors.AlreadyServing, errors.InvalidSetting.
    """
    state = settings.state_directory
    with _usable("state_directory", state):
        state.mkdir(mode=0o711, parents=True, exist_ok=True)
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with _usable("state_directory", state):
            _lock(descriptor, state)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, state: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise errors.AlreadyServing(directory=str(state)) from error


@contextlib.contextmanager
def _usable(setting: str, directory: Path) -> Iterator[None]:
    """What the system has against the directory, as an error of the setting. Raises: errors.InvalidSetting."""
    try:
        yield
    except OSError as error:
        reason = "it is no directory" if isinstance(error, FileExistsError) else error.strerror or str(error)
        do = (
            "run Estampe as root"
            if isinstance(error, PermissionError) and os.geteuid() != 0
            else "see `estampe doctor`"
        )
        problem = f"{directory} cannot be used: {reason}; {do}, or choose another directory"
        raise errors.InvalidSetting(setting=setting, problem=problem) from error
