"""`estampe template`: the catalogue of image templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from estampe import units
from estampe.cli import characteristics, describe, options, output, summary, template_contents, terminal, text
from estampe.model import layout as layouts
from estampe.model import listing, visibility
from estampe.model import template as templates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from estampe.client import client
    from estampe.schemas import template

app = typer.Typer(
    help="List, show, edit, share and delete image templates.", no_args_is_help=True, rich_markup_mode=None
)

_COLUMNS = (
    text.Column("TEMPLATE"),
    text.Column("STATE"),
    text.Column("SEEN BY"),
    text.Column("SIZE", is_right=True),
    text.Column("DATA", is_right=True),
    text.Column("NEW", is_right=True),
    text.Column("SEALED"),
    text.Column("CREATED"),
    text.Column("GUEST"),
    text.Column("TAGS"),
)

_SEEN_BY: Final = {
    visibility.Visibility.PRIVATE: None,
    visibility.Visibility.SHARED: "some",
    visibility.Visibility.PUBLIC: "all",
}


@app.command("list")
def list_templates(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only these names; a pattern, as 'web*'.")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only templates with this tag.")] = None,
    is_trashed: Annotated[
        bool, typer.Option("--trashed", help="Those in the trash, instead of those that are not.")
    ] = False,
    states: Annotated[
        list[templates.State] | None,
        typer.Option(
            "--state", metavar="|".join(templates.State), help="Only templates in this state; may be repeated."
        ),
    ] = None,
    is_sealed: Annotated[
        bool | None, typer.Option("--sealed/--not-sealed", help="Only templates that are sealed, or are not.")
    ] = None,
    guest: Annotated[
        str | None, typer.Option("--guest", help="Only templates of these guests; a pattern, as '*debian*'.")
    ] = None,
    is_mine: Annotated[
        bool, typer.Option("--mine", help="Your account's own, as without --shared and --public.")
    ] = False,
    is_shared: Annotated[bool, typer.Option("--shared", help="Those that are shared with your account.")] = False,
    is_public: Annotated[bool, typer.Option("--public", help="Those that are public.")] = False,
    is_hidden: Annotated[
        bool, typer.Option("--hidden", help="Those that your account has hidden, shared or public.")
    ] = False,
    sort: Annotated[
        listing.TemplateSort, typer.Option("--sort", help="`-` is descending.")
    ] = listing.TemplateSort.NAME,
    form: output.Option = output.Output.TABLE,
) -> None:
    """List templates; by name, the newest version first, unless sorted otherwise.

    Without --shared and --public they are your account's own; the others have their publisher before the name.
    SIZE is what a server gets, DATA what is stored of it before compression and deduplication, NEW what the capture
    added to the store.

    \b
    Examples:
      estampe template list
      estampe template list 'web*' --tag production
      estampe template list --trashed
      estampe template list --mine --shared
      estampe template list --public --guest '*debian*'
      estampe template list --guest '*debian*' --sealed --sort -created
    """
    from estampe.client import client
    from estampe.schemas import template

    with client.Client() as daemon:
        found = list(
            daemon.list_templates(
                name=name,
                tag=tag,
                states=states or (),
                is_sealed=is_sealed,
                guest=guest,
                is_trashed=is_trashed,
                scopes=_scopes(is_mine=is_mine, is_shared=is_shared, is_public=is_public, is_hidden=is_hidden),
                is_hidden=is_hidden,
                sort=sort,
            )
        )
    if form is output.Output.JSON:
        terminal.document(template.TemplateList(templates=found, next=None))
    else:
        terminal.say(_table(found))


@app.command("show")
def show_template(
    reference: options.Template,
    is_with_packages: Annotated[
        bool, typer.Option("--packages", help="List the installed packages of its guest, too.")
    ] = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Show one template: what is in it, how it was sealed, and the recorded configuration.

    With --packages, JSON has `inventory`, too: packages, users, enabled services, and digests of the files under /etc.

    \b
    Examples:
      estampe template show web
      estampe template show web --packages
      estampe template show web@3 --output json | jq .manifest.guest
    """
    from estampe.client import client

    with client.Client() as daemon:
        found = daemon.get_template(reference)
        inventory = daemon.get_inventory(str(found.template.id)) if is_with_packages else None
    if form is output.Output.JSON:
        more = {} if inventory is None else {"inventory": inventory.model_dump(mode="json")}
        terminal.document({**found.model_dump(mode="json"), **more})
    else:
        packages = [] if inventory is None else template_contents.package_lines(inventory)
        terminal.say([*_details(found), *describe.section("packages", packages)])


@app.command("edit")
def edit_template(
    reference: options.Template,
    name: Annotated[str | None, typer.Option("--name", help="Another name; the version number stays.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="Another note; '' for none.")] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Its tags from now on; may be repeated.")
    ] = None,
    is_untagged: Annotated[bool, typer.Option("--no-tags", help="Take all tags away.")] = False,
    characteristics_file: characteristics.File = None,
    assignments: characteristics.Set = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(
            "--unset", metavar="KEY", help="Take a characteristic away, as tuned.queues or least; may be repeated."
        ),
    ] = None,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Change the name, the note, the tags or the characteristics of a template. Its content never changes.

    --characteristics says all of them anew; without it, --set and --unset change one each and leave the others.

    \b
    Examples:
      estampe template edit web@3 --note "before the upgrade"
      estampe template edit web@3 --tag production --tag debian
      estampe template edit db --set least.memory=2GiB --set recommended.cpus=4 --unset tuned.io_threads
      estampe template edit db --characteristics db.toml
    """
    from estampe.client import client
    from estampe.schemas import template

    is_edited = not (name is None and note is None and not tags and not is_untagged)
    if not is_edited and characteristics_file is None and not assignments and not unset:
        raise typer.BadParameter(
            "say what to change: --name, --note, --tag, --no-tags, --characteristics, --set or --unset"
        )
    if tags and is_untagged:
        raise typer.BadParameter("--tag and --no-tags exclude each other")
    if characteristics_file is not None and unset:
        raise typer.BadParameter("--characteristics says all anew: leave out of the file what --unset names")
    request = client.make(template.EditRequest, name=name, note=note, tags=[] if is_untagged else tags or None)
    change = _change(characteristics_file, assignments or [], unset or [])
    with client.Client() as daemon:
        if is_edited:
            edited = daemon.edit_template(reference, request)
            reference = str(edited.id)  # it may have another name by now
        if change is not None:
            edited = change(daemon, reference)
    if form is output.Output.JSON:
        terminal.document(edited)
    else:
        terminal.say([text.plain(f"changed {edited.reference} ({edited.id})")])


@app.command("tune")
def tune_template(
    reference: options.Template,
    profile: Annotated[
        str, typer.Option("--profile", metavar="PROFILE", help="Which settings: see `estampe profile list`.")
    ],
    assignments: characteristics.Set = None,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Take the tuned settings of a profile over. Settings that it does not name stay as they are.

    \b
    Examples:
      estampe template tune web --profile linux-server
      estampe template tune db@2 --profile linux-database --set tuned.io_threads=4
    """
    from estampe.client import client
    from estampe.schemas import characteristics as shapes

    given = characteristics.read(None, assignments or [])
    request = client.make(shapes.CharacteristicsChangeRequest, profile=profile, **given)
    with client.Client() as daemon:
        tuned = daemon.change_characteristics(reference, request)
    if form is output.Output.JSON:
        terminal.document(tuned)
    else:
        terminal.say(
            [text.plain(f"tuned {tuned.reference} ({tuned.id})"), *characteristics.section(tuned.characteristics)]
        )


@app.command("delete")
def delete_template(
    reference: options.Template, is_confirmed: options.Yes = False, form: output.Option = output.Output.TABLE
) -> None:
    """Delete a template: it goes to the trash, and is purged when its time there is over.

    Until then `estampe template restore` brings it back. Servers that were deployed from it are not touched.

    \b
    Examples:
      estampe template delete web@1
      estampe template delete web@1 --yes
    """
    from estampe.client import client

    terminal.confirm(f"delete template {text.plain(reference)}", is_confirmed=is_confirmed)
    with client.Client() as daemon:
        deleted = daemon.delete_template(reference)
    if form is output.Output.JSON:
        terminal.document({"deleted": reference} | deleted.model_dump(mode="json"))
    else:
        terminal.say([text.plain(f"deleted template {deleted.reference}{_until(deleted.trash)}")])


def _change(
    path: str | None, assignments: Sequence[str], unset: Sequence[str]
) -> Callable[[client.Client, str], template.Template] | None:
    """What sends the change of characteristics, made whole before anything is sent; None where there is none."""
    from estampe.client import client
    from estampe.schemas import characteristics as shapes

    if path is not None:
        whole = client.make(shapes.CharacteristicsRequest, **characteristics.read(path, assignments))
        return lambda daemon, reference: daemon.replace_characteristics(reference, whole)
    if not assignments and not unset:
        return None
    given = characteristics.read(None, assignments)
    part = client.make(shapes.CharacteristicsChangeRequest, unset=list(unset), **given)
    return lambda daemon, reference: daemon.change_characteristics(reference, part)


def _until(trash: template.Trash | None) -> str:
    if trash is None:
        return "; `estampe store sweep` frees what no other template needs"
    return f"; it is in the trash until {trash.until.astimezone():%Y-%m-%d %H:%M}"


def _table(listed: Sequence[template.Template]) -> list[str]:
    rows = [
        (
            found.reference,
            found.state.value,
            _SEEN_BY[found.visibility],
            summary.size(found.logical_bytes),
            summary.size(found.data_bytes),
            summary.size(found.new_bytes),
            _yes(found.is_sealed),
            f"{found.created_at.astimezone():%Y-%m-%d %H:%M}",
            found.guest_product,
            ", ".join(found.tags),
        )
        for found in listed
    ]
    return text.table(_COLUMNS, rows)


def _details(found: template.TemplateDetail) -> list[str]:
    row, manifest = found.template, found.manifest
    lines = text.pairs(
        [
            ("template", row.reference),
            ("id", row.id),
            ("state", row.state.value),
            ("visibility", _visibility(row)),
            ("you may", None if row.scope is visibility.Scope.MINE else row.right.value),
            ("shared until", None if row.expires_at is None else f"{row.expires_at.astimezone():%Y-%m-%d %H:%M}"),
            ("hidden", "yes" if row.is_hidden else None),
            ("successor", found.successor),
            ("protected", "yes" if row.is_protected else None),
            ("in the trash", _trash(row.trash)),
            ("captured from", row.server_name or None),
            ("which was deployed from", found.parent),
            ("created", f"{row.created_at.astimezone():%Y-%m-%d %H:%M:%S %z}"),
            ("note", row.note or None),
            ("tags", ", ".join(row.tags) or None),
            ("size", summary.size(row.logical_bytes)),
            ("data", summary.size(row.data_bytes)),
            ("added to the store", summary.size(row.new_bytes)),
        ]
    )
    lines += characteristics.section(row.characteristics)
    if manifest is None:
        return lines
    return [
        *lines,
        *describe.section("data", _volumes(manifest)),
        *describe.section("layout", _layout(manifest.layout)),
        *describe.section("guest", _guest(manifest.guest)),
        *describe.section("sealing", _sealing(manifest.sealing)),
        *describe.recorded_configuration(manifest.configuration),
    ]


def _visibility(row: template.Template) -> str:
    told = row.visibility.value
    if row.scope is not visibility.Scope.MINE:
        return f"{told}, by {row.publisher}"
    if row.publication is None:
        return told
    public = row.publication
    since = f"since {public.at.astimezone():%Y-%m-%d %H:%M}, by {public.by}: {public.right.value}"
    return f"{told} as {row.full_reference} {since}{f' ({public.note})' if public.note else ''}"


def _scopes(*, is_mine: bool, is_shared: bool, is_public: bool, is_hidden: bool) -> list[visibility.Scope]:
    """What is asked for; of what is hidden all, since nothing of one's own is."""
    asked = {visibility.Scope.MINE: is_mine, visibility.Scope.SHARED: is_shared, visibility.Scope.PUBLIC: is_public}
    chosen = [scope for scope, is_chosen in asked.items() if is_chosen]
    return chosen or ([visibility.Scope.SHARED, visibility.Scope.PUBLIC] if is_hidden else [])


def _trash(trash: template.Trash | None) -> str | None:
    if trash is None:
        return None
    since, until = trash.at.astimezone(), trash.until.astimezone()
    return f"since {since:%Y-%m-%d %H:%M}, by {trash.by}; purged from {until:%Y-%m-%d %H:%M} on"


def _volumes(manifest: template.Manifest) -> list[str]:
    columns = [
        text.Column("VOLUME"),
        text.Column("SIZE", is_right=True),
        text.Column("DATA", is_right=True),
        text.Column("CHUNKS", is_right=True),
    ]
    rows = [
        (volume.target, summary.size(volume.size_bytes), summary.size(volume.data_bytes), volume.chunk_count)
        for volume in manifest.volumes
    ]
    nvram = ["with its NVRAM (UEFI variables)"] if manifest.has_nvram else []
    vtpm = (
        ["with the keys of its TPM, for servers of your account alone (`deploy --vtpm keep`)"]
        if manifest.has_vtpm
        else []
    )
    return [*text.table(columns, rows), f"in chunks of {units.format_bytes(manifest.chunk_size_bytes)}", *nvram, *vtpm]


def _layout(layout: template.Layout | None) -> list[str]:
    if layout is None:
        return []
    columns = [
        text.Column("NAME"),
        text.Column("START", is_right=True),
        text.Column("SIZE", is_right=True),
        text.Column("CONTENT"),
        text.Column("TYPE"),
    ]
    rows: list[tuple[object, ...]] = []
    for volume in layout.volumes:
        rows.append((volume.target, None, summary.size(volume.size_bytes), volume.content, _table_kind(volume)))
        rows += [
            (f"  {layouts.partition_name(volume.target, each.number)}", summary.size(each.start_bytes),
             summary.size(each.size_bytes), each.content, each.type)
            for each in volume.partitions
        ]  # fmt: skip
    for group in layout.groups:
        free = f"{units.format_bytes(group.free_bytes)} free, on {', '.join(group.physical_volumes)}"
        rows.append((group.name, None, None, free, "LVM group"))
        rows += [
            (f"  {group.name}/{each.name}", None, summary.size(each.size_bytes), each.content, each.kind)
            for each in group.logical_volumes
        ]
    return text.table(columns, rows)


def _table_kind(volume: template.VolumeLayout) -> str:
    sectors = "" if volume.sector_size_bytes == layouts.SECTOR_BYTES else f", {volume.sector_size_bytes}-byte sectors"
    return ("no table" if volume.table is layouts.TableKind.NONE else volume.table.value.upper()) + sectors


def _guest(guest: template.Guest | None) -> list[str]:
    if guest is None:
        return ["not inspected"]
    facts = text.pairs(
        [
            ("system", guest.product),
            ("host name", guest.hostname or None),
            ("packages", guest.package_count),
            ("root", guest.root_device),
            ("boot loader", guest.boot_loader),
            ("init", guest.init),
            ("network by", guest.network),
            ("seed reader", guest.seed_reader or "none"),
            ("generalised", _yes(guest.is_generalised)),
            ("cloud-init", _yes(guest.has_cloud_init)),
            ("network at first boot", "left alone" if guest.is_network_left_alone else None),
            ("guest agent", _yes(guest.has_guest_agent)),
            ("grows at first boot", _yes(guest.can_grow_root)),
            ("starts from", ", ".join(guest.volume_buses) or None),
        ]
    )
    columns = [
        text.Column("DEVICE"),
        text.Column("KIND"),
        text.Column("SIZE", is_right=True),
        text.Column("USED", is_right=True),
        text.Column("MOUNTED AT"),
        text.Column("LABEL"),
    ]
    rows = [
        (
            each.device,
            each.kind,
            summary.size(each.size_bytes),
            summary.size(each.used_bytes),
            each.mount_point,
            each.label,
        )
        for each in guest.file_systems
    ]
    rows += [
        (f"{each.device}:{subvolume.path}", "subvolume", None, None, subvolume.mount_point, None)
        for each in guest.file_systems
        for subvolume in each.subvolumes
    ]
    return [*facts, *(text.table(columns, rows) if rows else [])]


def _sealing(sealing: template.Sealing) -> list[str]:
    if sealing.is_sealed:
        head = f"sealed; {units.format_bytes(sealing.trimmed_bytes)} of free space trimmed"
    else:
        head = f"not sealed: {text.plain(sealing.why_not)}"
    return [
        head,
        *(f"- {text.plain(action)}" for action in sealing.actions),
        *(f"! {text.plain(note)}" for note in sealing.notes),
    ]


def _yes(fact: bool | None) -> str | None:
    return None if fact is None else "yes" if fact else "no"
