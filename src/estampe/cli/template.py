"""`estampe template`: the catalogue of image templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe import units
from estampe.cli import describe, options, output, summary, terminal, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from estampe.schemas import template

app = typer.Typer(help="List, show, edit and delete image templates.", no_args_is_help=True, rich_markup_mode=None)

_COLUMNS = (
    text.Column("TEMPLATE"),
    text.Column("STATE"),
    text.Column("SIZE", is_right=True),
    text.Column("DATA", is_right=True),
    text.Column("NEW", is_right=True),
    text.Column("SEALED"),
    text.Column("CREATED"),
    text.Column("GUEST"),
    text.Column("TAGS"),
)


@app.command("list")
def list_templates(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only these names; a pattern, as 'web*'.")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only templates with this tag.")] = None,
    form: output.Option = output.Output.TABLE,
) -> None:
    """List templates, by name, the newest version first.

    SIZE is what a server gets, DATA what is stored of it before compression and deduplication, NEW what the capture
    added to the store.

    \b
    Examples:
      estampe template list
      estampe template list 'web*' --tag production
    """
    from estampe.client import client
    from estampe.schemas import template

    with client.Client() as daemon:
        templates = list(daemon.list_templates(name=name, tag=tag))
    if form is output.Output.JSON:
        terminal.document(template.TemplateList(templates=templates, next=None))
    else:
        terminal.say(_table(templates))


@app.command("show")
def show_template(reference: options.Template, form: output.Option = output.Output.TABLE) -> None:
    """Show one template: what is in it, how it was sealed, and the recorded configuration.

    \b
    Examples:
      estampe template show web
      estampe template show web@3 --output json | jq .manifest.guest
    """
    from estampe.client import client

    with client.Client() as daemon:
        found = daemon.get_template(reference)
    if form is output.Output.JSON:
        terminal.document(found)
    else:
        terminal.say(_details(found))


@app.command("edit")
def edit_template(
    reference: options.Template,
    name: Annotated[str | None, typer.Option("--name", help="Another name; the version number stays.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="Another note; '' for none.")] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Its tags from now on; may be repeated.")
    ] = None,
    is_untagged: Annotated[bool, typer.Option("--no-tags", help="Take all tags away.")] = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Change the name, the note or the tags of a template. Its content never changes.

    \b
    Examples:
      estampe template edit web@3 --note "before the upgrade"
      estampe template edit web@3 --tag production --tag debian
    """
    from estampe.client import client
    from estampe.schemas import template

    if name is None and note is None and not tags and not is_untagged:
        raise typer.BadParameter("say what to change: --name, --note, --tag or --no-tags")
    if tags and is_untagged:
        raise typer.BadParameter("--tag and --no-tags exclude each other")
    request = client.make(template.EditRequest, name=name, note=note, tags=[] if is_untagged else tags or None)
    with client.Client() as daemon:
        edited = daemon.edit_template(reference, request)
    if form is output.Output.JSON:
        terminal.document(edited)
    else:
        terminal.say([text.plain(f"changed {edited.reference} ({edited.id})")])


@app.command("delete")
def delete_template(
    reference: options.Template, is_confirmed: options.Yes = False, form: output.Option = output.Output.TABLE
) -> None:
    """Delete a template. `estampe store sweep` then frees what no other template needs.

    \b
    Examples:
      estampe template delete web@1
      estampe template delete web@1 --yes
    """
    from estampe.client import client

    terminal.confirm(f"delete template {text.plain(reference)}", is_confirmed=is_confirmed)
    with client.Client() as daemon:
        daemon.delete_template(reference)
    if form is output.Output.JSON:
        terminal.document({"deleted": reference})
    else:
        terminal.say([f"deleted template {text.plain(reference)}"])


def _table(templates: Sequence[template.Template]) -> list[str]:
    rows = [
        (
            found.reference,
            found.state.value,
            summary.size(found.logical_bytes),
            summary.size(found.data_bytes),
            summary.size(found.new_bytes),
            _yes(found.is_sealed),
            f"{found.created_at.astimezone():%Y-%m-%d %H:%M}",
            found.guest_product,
            ", ".join(found.tags),
        )
        for found in templates
    ]
    return text.table(_COLUMNS, rows)


def _details(found: template.TemplateDetail) -> list[str]:
    row, manifest = found.template, found.manifest
    lines = text.pairs(
        [
            ("template", row.reference),
            ("id", row.id),
            ("state", row.state.value),
            ("captured from", row.server_name),
            ("created", f"{row.created_at.astimezone():%Y-%m-%d %H:%M:%S %z}"),
            ("note", row.note or None),
            ("tags", ", ".join(row.tags) or None),
            ("size", summary.size(row.logical_bytes)),
            ("data", summary.size(row.data_bytes)),
            ("added to the store", summary.size(row.new_bytes)),
        ]
    )
    if manifest is None:
        return lines
    return [
        *lines,
        *describe.section("data", _volumes(manifest)),
        *describe.section("guest", _guest(manifest.guest)),
        *describe.section("sealing", _sealing(manifest.sealing)),
        *describe.recorded_configuration(manifest.configuration),
    ]


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
    return [*text.table(columns, rows), f"in chunks of {units.format_bytes(manifest.chunk_size_bytes)}", *nvram]


def _guest(guest: template.Guest | None) -> list[str]:
    if guest is None:
        return ["not inspected"]
    facts = text.pairs(
        [
            ("system", guest.product),
            ("host name", guest.hostname),
            ("packages", guest.package_count),
            ("root", guest.root_device),
            ("cloud-init", _yes(guest.has_cloud_init)),
            ("network at first boot", "left alone" if guest.is_network_left_alone else None),
            ("guest agent", _yes(guest.has_guest_agent)),
            ("grows at first boot", _yes(guest.can_grow_root)),
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
