"""`estampe deploy`: from an image template to new servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from estampe import units
from estampe.cli import (
    characteristics,
    describe,
    following,
    guest_users,
    interfaces,
    options,
    output,
    terminal,
    text,
    values,
)

if TYPE_CHECKING:
    from estampe.schemas import deploy


def deploy_template(
    reference: options.Template,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new server.")],
    cpus: Annotated[
        int | None, typer.Option("--cpus", help="Virtual CPUs. [default: as recommended, else as recorded]")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", metavar="SIZE", help="Memory, as 4GiB. [default: as recommended, else as recorded]"),
    ] = None,
    volumes: Annotated[
        list[str] | None,
        typer.Option("--volume", metavar="TARGET=SIZE", help="Make a volume larger, as vda=40GiB; may be repeated."),
    ] = None,
    grown: Annotated[
        list[str] | None,
        typer.Option(
            "--grow",
            metavar="WHAT",
            help="What gets a larger volume's space: a partition (vda2), a whole volume (vdb), a logical volume (lv:vg0/data); may be repeated. [default: the root file system, else what comes last]",
        ),
    ] = None,
    is_not_grown: Annotated[bool, typer.Option("--no-grow", help="Leave a larger volume's space unused.")] = False,
    is_shrunk: Annotated[
        bool, typer.Option("--shrink", help="Let --volume make volumes smaller, by moving ext4 and btrfs together.")
    ] = False,
    is_renewed: Annotated[
        bool,
        typer.Option(
            "--renew-uuids",
            help="Give each server UUIDs of its own: of file systems, swap, partitions and LVM, with all that names them.",
        ),
    ] = False,
    vtpm: Annotated[
        str | None,
        typer.Option(
            "--vtpm",
            metavar="fresh|keep",
            help="The TPM, where the template's server had one: an empty one, or one with the source's keys, if its capture took them. [default: fresh]",
        ),
    ] = None,
    new_volumes: Annotated[
        list[str] | None,
        typer.Option(
            "--add-volume",
            metavar="NAME=SIZE[,KIND[,MOUNT]]",
            help="A further volume, as data=20GiB,ext4,/srv; may be repeated. [default: blank, not mounted]",
        ),
    ] = None,
    left_out: Annotated[
        list[str] | None,
        typer.Option(
            "--without", metavar="TARGET", help="Leave a volume of the template out, as vdb; may be repeated."
        ),
    ] = None,
    volume_format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="raw|qcow2", help="Format of the volumes. [default: as recorded; on block devices raw]"
        ),
    ] = None,
    pool: Annotated[str | None, typer.Option("--pool", help="Storage pool. [default: the configured one]")] = None,
    networks: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            metavar="NETWORK",
            help="One interface on this network (lan, bridge:br0); may be repeated, and then these are all. [default: as many as recorded, on the default network]",
        ),
    ] = None,
    addresses: Annotated[
        list[str] | None,
        typer.Option(
            "--address",
            metavar="[N=]ADDRESS",
            help="Static address with prefix of interface N (from 1; 1 if not said), as 192.0.2.10/24, or dhcp or dhcp6 beside; may be repeated. [default: DHCP]",
        ),
    ] = None,
    gateways: Annotated[
        list[str] | None,
        typer.Option("--gateway", metavar="[N=]ADDRESS", help="Gateway of interface N; may be repeated."),
    ] = None,
    dns: Annotated[
        list[str] | None,
        typer.Option("--dns", metavar="[N=]ADDRESS", help="Name server of interface N; may be repeated."),
    ] = None,
    routes: Annotated[
        list[str] | None,
        typer.Option(
            "--route",
            metavar="[N=]NETWORK,GATEWAY",
            help="Route of interface N, as 198.51.100.0/24,192.0.2.254; may be repeated.",
        ),
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option("--search", metavar="DOMAIN", help="Domain in which names are looked up; may be repeated."),
    ] = None,
    fqdn: Annotated[
        str | None, typer.Option("--fqdn", metavar="NAME", help="Full name: the host name with its domain.")
    ] = None,
    hostname: Annotated[str | None, typer.Option("--hostname", help="Host name. [default: the server's name]")] = None,
    ssh_keys: Annotated[
        list[str] | None,
        typer.Option(
            "--ssh-key",
            metavar="FILE|KEY",
            help="Public key to let in: a file of keys, or the key itself; may be repeated.",
        ),
    ] = None,
    users: Annotated[
        list[str] | None,
        typer.Option(
            "--user",
            metavar="NAME[:KEY=VALUE,...]",
            help="Account to make: groups=A+B, hash=HASH, key=FILE|KEY, shell=PATH, sudo; may be repeated.",
        ),
    ] = None,
    password_hash: Annotated[
        str | None,
        typer.Option(
            "--password-hash",
            metavar="HASH",
            help="Hash of the default user's password (root's, where a guest has no seed reader), as `openssl passwd -6` makes it.",
        ),
    ] = None,
    admin_password: Annotated[
        str | None,
        typer.Option(
            "--admin-password",
            metavar="FILE",
            help="File with the administrator's password, for Windows; - for standard input.",
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", metavar="ZONE", help="Time zone, as Europe/Paris. [default: as recorded]"),
    ] = None,
    commands: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="COMMAND",
            help="Command that the first boot runs, once; may be repeated, and they run in order.",
        ),
    ] = None,
    user_data: Annotated[
        str | None,
        typer.Option(
            "--user-data", metavar="FILE", help="User data for the guest's seed reader; - for standard input."
        ),
    ] = None,
    seed_format: Annotated[
        str | None,
        typer.Option(
            "--seed",
            metavar="nocloud|config-drive",
            help="Format of the first-boot seed. [default: the one that the guest's reader takes]",
        ),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", metavar="N", help="Make N servers, NAME-1 to NAME-N, from one read.")
    ] = 1,
    is_not_started: Annotated[bool, typer.Option("--no-start", help="Leave the new servers shut off.")] = False,
    is_untuned: Annotated[
        bool,
        typer.Option("--untuned", help="Leave the template's tuned settings out; least and recommended sizes stay."),
    ] = False,
    is_not_awaited: options.NoWait = False,
    is_dry_run: options.DryRun = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Deploy new servers from an image template.

    Every server gets an identity of its own. A deploy that fails leaves nothing behind. Ctrl-C leaves it running.

    \b
    Examples:
      estampe deploy web web-02
      estampe deploy web@3 web-02 --volume vda=40GiB --cpus 4 --memory 8GiB --dry-run
      estampe deploy web web-02 --network lan --address 192.0.2.10/24 --gateway 192.0.2.1 --dns 192.0.2.53
      estampe deploy web web-02 --network lan --network bridge:br0 --address 2=198.51.100.7/24
      estampe deploy db db-02 --volume vdb=200GiB --grow lv:vg0/data --add-volume log=20GiB,xfs,/var/log/db
      estampe deploy web web-02 --fqdn web-02.example.org --address 192.0.2.10/24 --address dhcp6 --route 10.0.0.0/8,192.0.2.254
      estampe deploy web web-02 --user ana:groups=docker,key=ana.pub,sudo --timezone Europe/Paris --run "systemctl enable --now app"
      estampe deploy web ci --count 10 --ssh-key ~/.ssh/id_ed25519.pub --no-wait
    """
    from estampe.client import client
    from estampe.schemas import deploy

    request = client.make(
        deploy.DeployRequest,
        template=reference,
        name=name,
        count=count,
        cpus=cpus,
        memory_bytes=None if memory is None else units.parse_size(memory),
        volume_sizes=values.volume_sizes(volumes or [], option="--volume"),
        pool=pool,
        volume_format=volume_format,
        interfaces=interfaces.combine(
            networks=networks or [],
            addresses=addresses or [],
            gateways=gateways or [],
            dns=dns or [],
            routes=routes or [],
        ),
        search=search or [],
        fqdn=fqdn,
        hostname=hostname,
        ssh_keys=values.ssh_keys(ssh_keys or [], option="--ssh-key"),
        users=guest_users.users(users or []),
        password_hash=password_hash,
        admin_password=None
        if admin_password is None
        else values.read_file(admin_password, option="--admin-password").rstrip("\r\n"),
        timezone=timezone,
        commands=commands or [],
        user_data=None if user_data is None else values.read_file(user_data, option="--user-data"),
        seed_format=seed_format,
        is_started=not is_not_started,
        is_tuned=not is_untuned,
        grown=grown or [],
        is_grown=not is_not_grown,
        is_shrunk=is_shrunk,
        is_renewed=is_renewed,
        vtpm=vtpm,
        left_out=left_out or [],
        new_volumes=values.new_volumes(new_volumes or [], option="--add-volume"),
    )
    with client.Client() as daemon:
        if is_dry_run:
            _say_plan(daemon.plan_deployment(request), form)
            return
        with following.unanswered(form, following.MAY_HAVE_BEGUN):
            begun = daemon.start_deployment(request)
        following.conclude(daemon, begun, form=form, is_awaited=not is_not_awaited)


def _say_plan(plan: deploy.DeployPlan, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(plan)
    else:
        terminal.say(_describe(plan))


def _describe(plan: deploy.DeployPlan) -> list[str]:
    changes = [f"{change.what}: {change.was} -> {change.now} ({change.why})" for change in plan.changes]
    return [
        *text.pairs(
            [
                ("template", f"{plan.template} ({plan.template_id})"),
                ("tuned for", plan.tuned_for),
                ("CPUs", plan.cpus),
                ("memory", units.format_bytes(plan.memory_bytes)),
                ("pool", plan.pool),
                ("written", units.format_bytes(plan.needed_bytes)),
                ("free in the pool", units.format_bytes(plan.pool_available_bytes)),
            ]
        ),
        *describe.section("servers", _servers(plan)),
        *describe.section("volumes of each", _volumes(plan)),
        *characteristics.settings(plan.settings),
        *describe.section("changed for this host", [text.plain(change) for change in changes]),
        *describe.section("final configuration", [text.plain(line) for line in plan.final_configuration]),
        *describe.section("warnings", [text.plain(warning) for warning in plan.warnings]),
    ]


def _servers(plan: deploy.DeployPlan) -> list[str]:
    columns = [text.Column("NAME"), text.Column("HOST NAME"), text.Column("INTERFACES"), text.Column("UUID")]
    rows = [(server.name, server.hostname, _interfaces(server), server.uuid) for server in plan.servers]
    return text.table(columns, rows)


def _interfaces(server: deploy.NewServer) -> str:
    return ", ".join(f"{each.mac} on {each.network or f'bridge:{each.bridge}'}" for each in server.interfaces)


def _volumes(plan: deploy.DeployPlan) -> list[str]:
    columns = [
        text.Column("VOLUME"),
        text.Column("TEMPLATE", is_right=True),
        text.Column("SIZE", is_right=True),
        text.Column("DATA", is_right=True),
        text.Column("FORMAT"),
    ]
    rows: list[tuple[Any, ...]] = [
        (
            volume.target,
            units.format_bytes(volume.template_size_bytes) if volume.template_size_bytes else "new",
            units.format_bytes(volume.size_bytes),
            units.format_bytes(volume.data_bytes),
            volume.format,
        )
        for volume in plan.volumes
    ]
    return text.table(columns, rows)
