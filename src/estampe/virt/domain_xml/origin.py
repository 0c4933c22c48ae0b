"""The note that a deploy leaves in the domain it makes: which template it came from."""

from __future__ import annotations

from estampe import errors
from estampe.virt.domain_xml import document, rebuilding


def find_template(xml: str) -> str | None:
    """The template's reference as it was then, `web@3`; None where no deploy of Estampe made the domain."""
    try:
        root = document.read(xml)
    except errors.DomainXmlInvalid:
        return None
    space = f"{{{rebuilding.NAMESPACE}}}"
    noted = root.find(f"metadata/{space}server/{space}template")
    return None if noted is None else noted.get("name")
