"""Reading list."""

from typing import TYPE_CHECKING

import streamlit as st

from pincite.ui import keys
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages


def show(pages: "Pages", resources: Resources) -> None:
    """To come."""
    st.title("Reading list")
    keys.listen("reading")
