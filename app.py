"""The page: navigation and shared resources, nothing else. `scripts/run` opens it."""

import streamlit as st

from pincite.errors import PinciteError
from pincite.ui import markup
from pincite.ui.pages import Pages
from pincite.ui.resources import shared

try:
    resources = shared()
except PinciteError as error:
    markup.begin()
    markup.notice(str(error))
    st.stop()

Pages.of(resources).run()
