"""Routes of profiles."""

from __future__ import annotations

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate, problems
from estampe.schemas import characteristics

router = fastapi.APIRouter(prefix="/profiles", tags=["profiles"], route_class=gate.Route)


@router.get("")
def list_profiles(services: given.Services) -> characteristics.ProfileList:
    """The tuned settings that Estampe ships, by name."""
    found = [characteristics.Profile.model_validate(each) for each in services.profiles.list()]
    return characteristics.ProfileList(profiles=found)


@router.get("/{reference}", responses=problems.answers(errors.ProfileNotFound))
def get_profile(services: given.Services, reference: given.Reference) -> characteristics.Profile:
    """One profile, with why its settings are as they are."""
    return characteristics.Profile.model_validate(services.profiles.get(reference))
