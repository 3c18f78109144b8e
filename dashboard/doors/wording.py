"""What people read before they are let in."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.shell.formats import APP_NAME
from data.tasks.task import Task

WELCOME = f"Sign in to {APP_NAME}"
SIGN_IN = "Sign in"
SIGN_OUT = "Sign out"
EXPIRED = "Your sign-in has ended. Sign in again to go on; what was saved is still there."
REFUSED = "The sign-in was not completed. Try again, or ask whoever runs LesionLens."
FIRST_SIGN_IN = "Sign in first: reload this page."
NO_ROLE_TITLE = "No role was given to you"
ADMINISTRATOR = "whoever runs this LesionLens"
MOST_ROLES = 20


def intended_use(tasks: Sequence[Task]) -> str:
    """`A research tool for dermoscopic images and retinal photographs: it advises, a person decides.`"""
    images = " and ".join(task.words.images for task in tasks)
    return f"A research tool for {images}: it advises, a person decides."


def no_role(name: str) -> str:
    """For a user that neither the allow-list nor a claim knows."""
    who = f"You are signed in as {name}, but" if name else "You are signed in, but"
    return (
        f"{who} LesionLens does not know what you may see. Ask {ADMINISTRATOR} to give you a role, then sign in again."
    )


def how_to_list(entry: str) -> tuple[str, str]:
    """For whoever runs it: what to do with a line, and the line itself, which lists a user."""
    what = "One way is this entry in AUTH_USERS, with your role and organisation in it:"
    return what, f"{entry}=clinician@Organisation"


def roles_stated(roles: Sequence[str]) -> str:
    """What the provider called the roles of somebody whom none of them lets in."""
    if not roles:
        return "Your sign-in states no role."
    shown = ", ".join(roles[:MOST_ROLES])
    more = f" and {len(roles) - MOST_ROLES} more" if len(roles) > MOST_ROLES else ""
    return f"Your sign-in states: {shown}{more}."
