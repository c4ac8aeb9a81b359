"""The page: navigation and shared resources, nothing else. `scripts/run` opens it."""

import streamlit as st

from pincite.errors import PinciteError
from pincite.ui import markup, search_page, source_page
from pincite.ui.pages import Pages
from pincite.ui.resources import shared

st.set_page_config(page_title="Pincite", page_icon="❞", layout="centered")

try:
    resources = shared()
except PinciteError as error:
    markup.notice(str(error))
    st.stop()

search = st.Page(lambda: search_page.show(pages, resources), title="Pincite", url_path="search", default=True)
source = st.Page(lambda: source_page.show(pages, resources), title="Source", url_path="source")
pages = Pages(search, source)
st.navigation([search, source], position="hidden").run()
