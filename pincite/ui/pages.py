"""The pages, so that each can link to the others."""

from dataclasses import dataclass

from streamlit.navigation.page import StreamlitPage


@dataclass(frozen=True, slots=True)
class Pages:
    """Every page of the application."""

    search: StreamlitPage
    source: StreamlitPage
